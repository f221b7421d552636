// The drawings on the player's buttons, 24 by 24.

const DRAWINGS = {
  play: '<path d="M8 5.2v13.600a.6.6 0 0 0 .92.5l10.300-6.800a.6.6 0 0 0 0-1L8.920 4.700A.6.6 0 0 0 8 5.200Z" fill="currentColor"/>',
  pause:
    '<rect x="6.500" y="5" width="4" height="14" rx="1" fill="currentColor"/><rect x="13.500" y="5" width="4" height="14" rx="1" fill="currentColor"/>',
  sound:
    '<path d="M4 9.500v5h3.500L12 18.500v-13L7.500 9.500z" fill="currentColor"/><path d="M15.500 9a4.300 4.300 0 0 1 0 6M18 6.300a8 8 0 0 1 0 11.400"/>',
  muted: '<path d="M4 9.500v5h3.500L12 18.500v-13L7.500 9.500z" fill="currentColor"/><path d="m16 9.500 5 5m0-5-5 5"/>',
  expand: '<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"/>',
  shrink: '<path d="M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5"/>',
  picture:
    '<path d="M20 11V6a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h5"/><rect x="13" y="13.500" width="8" height="5.500" rx="1" fill="currentColor"/>',
  sliders:
    '<path d="M4 7.500h9m5 0h2M4 16.500h2m5 0h9"/><circle cx="15.500" cy="7.500" r="2.500"/><circle cx="8.500" cy="16.500" r="2.500"/>',
  people:
    '<path d="M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7Zm-6.500 9a6.500 6.500 0 0 1 13 0M16 4.300a3.500 3.500 0 0 1 0 6.400M18 14.200a6.500 6.500 0 0 1 3.500 5.800"/>',
} as const;

export type IconName = keyof typeof DRAWINGS;

export function icon(name: IconName): string {
  return `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">${DRAWINGS[name]}</svg>`;
}

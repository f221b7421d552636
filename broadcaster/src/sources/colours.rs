//! Pixels in the form that encoders take: planar YUV 4:2:0, BT.709, limited range. Pure.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgra_to_yuv420,
    rgb_to_yuv420, rgba_to_yuv420,
};

use crate::capture_helper::PixelFormat;

/// Pixels that are converted, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pixels<'a> {
    pub(crate) format: PixelFormat,
    pub(crate) bytes: &'a [u8],
    /// From one row to the next, in bytes.
    pub(crate) stride: u32,
}

/// Converts an even number of columns and rows into its planes, each without gaps. False for formats that are not converted.
pub(crate) fn convert(
    pixels: Pixels<'_>,
    (width, height): (u32, u32),
    [y, u, v]: [&mut [u8]; 3],
) -> Result<bool, YuvError> {
    let convert = match pixels.format {
        PixelFormat::Bgrx => bgra_to_yuv420,
        PixelFormat::Rgbx => rgba_to_yuv420,
        PixelFormat::Rgb => rgb_to_yuv420,
        PixelFormat::Xbgr | PixelFormat::Yuv420p => return Ok(false),
    };
    let mut planes = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width / 2,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width / 2,
        width,
        height,
    };
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt709);
    convert(&mut planes, pixels.bytes, pixels.stride, range, matrix, YuvConversionMode::Balanced)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_high_definition_television() {
        for ([red, green, blue], expected) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([0, 0, 255], [32, 240, 118]),
        ] {
            for (format, pixel) in [
                (PixelFormat::Bgrx, vec![blue, green, red, 9]),
                (PixelFormat::Rgbx, vec![red, green, blue, 9]),
                (PixelFormat::Rgb, vec![red, green, blue]),
            ] {
                // A row more and a column more than is asked for.
                let (bytes, stride) = (pixel.repeat(51 * 5), 51 * u32::try_from(pixel.len()).unwrap());
                let (mut y, mut u, mut v) = ([0; 200], [0; 50], [0; 50]);
                let pixels = Pixels { format, bytes: &bytes, stride };
                assert!(convert(pixels, (50, 4), [&mut y, &mut u, &mut v]).unwrap());
                for (plane, expected) in [&y[..], &u, &v].into_iter().zip(expected) {
                    assert!(plane.iter().all(|value: &u8| value.abs_diff(expected) <= 1), "{format:?} {plane:?}");
                }
            }
        }
    }

    #[test]
    fn other_formats_are_left_alone() {
        let pixels = Pixels { format: PixelFormat::Xbgr, bytes: &[0; 16], stride: 8 };
        assert!(!convert(pixels, (2, 2), [&mut [0; 4], &mut [0; 1], &mut [0; 1]]).unwrap());
    }
}

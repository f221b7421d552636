//! Draws what was measured: lines over two axes, each linear or logarithmic, as an SVG with its own background, so that it can be read on
//! a light page and on a dark one. It has no font with it: whoever shows it has one.

use plotters::{
    coord::{
        Shift,
        combinators::{IntoLogRange as _, LogScalable},
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
};
use serde::Deserialize;
use thiserror::Error;

/// Width and height: what a document of 80 characters shows without scrolling.
const SIZE: (u32, u32) = (720, 360);

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const PAPER: RGBColor = RGBColor(0xfb, 0xfb, 0xf9);
const GRID: RGBColor = RGBColor(0xdd, 0xdf, 0xe0);

/// Colours that people who see few colours can tell apart (Okabe and Ito, without yellow, which paper swallows).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// How names of lines are laid out, in pixels.
const LEGEND_COLUMNS: usize = 2;
const LEGEND_COLUMN: i32 = 320;
const LEGEND_ROW: u32 = 18;

/// Room above the highest value, as a factor.
const HEADROOM: f64 = 1.1;

/// Results, of which only the charts are read.
#[derive(Debug, Deserialize)]
pub struct Results {
    /// The charts.
    #[serde(default)]
    pub charts: Vec<Chart>,
}

/// One chart.
#[derive(Debug, Deserialize)]
pub struct Chart {
    /// The name of its file.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// What is told along an edge.
#[derive(Debug, Deserialize)]
pub struct Axis {
    /// What, and in which unit.
    pub label: String,
    /// Whether each step is a factor.
    #[serde(default)]
    pub logarithmic: bool,
}

/// A line with its name.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Why a chart can't be drawn.
#[derive(Debug, Error)]
pub enum ChartError {
    /// There is nothing on it.
    #[error("chart {0} has no points")]
    Empty(String),
    /// A logarithm has no place for zero.
    #[error("chart {0} has values at or below zero on a logarithmic axis")]
    NotPositive(String),
    /// It becomes the name of a file.
    #[error("chart {0:?} is not named by a-z, 0-9, - and _ alone")]
    Name(String),
    /// The drawing itself.
    #[error("chart {id} can't be drawn: {why}")]
    Drawing {
        /// The chart.
        id: String,
        /// Why.
        why: String,
    },
}

#[derive(Debug, Clone, Copy)]
enum Side {
    X,
    Y,
}

impl Chart {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// When there is nothing to draw, or something that has no place.
    pub fn svg(&self) -> Result<String, ChartError> {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if self.id.is_empty() || !self.id.chars().all(named) {
            return Err(ChartError::Name(self.id.clone()));
        }
        let (x, y) = (self.range(Side::X)?, self.range(Side::Y)?);
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        match (self.x.logarithmic, self.y.logarithmic) {
            (false, false) => self.draw(&area, 0.0..x.1, 0.0..y.1),
            (false, true) => self.draw(&area, 0.0..x.1, (y.0..y.1).log_scale()),
            (true, false) => self.draw(&area, (x.0..x.1).log_scale().base(2.0), 0.0..y.1),
            (true, true) => self.draw(&area, (x.0..x.1).log_scale().base(2.0), (y.0..y.1).log_scale()),
        }
        .map_err(|why| ChartError::Drawing { id: self.id.clone(), why })?;
        drop(area);
        Ok(svg)
    }

    /// The least and the most along an axis, with some room.
    fn range(&self, side: Side) -> Result<(f64, f64), ChartError> {
        let axis = match side {
            Side::X => &self.x,
            Side::Y => &self.y,
        };
        let value = |point: &(f64, f64)| match side {
            Side::X => point.0,
            Side::Y => point.1,
        };
        let values = || self.lines.iter().flat_map(|line| &line.points).map(value);
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() || !most.is_finite() {
            return Err(ChartError::Empty(self.id.clone()));
        }
        if !axis.logarithmic {
            return Ok((0.0, if most > 0.0 { most * HEADROOM } else { 1.0 }));
        }
        if least <= 0.0 {
            return Err(ChartError::NotPositive(self.id.clone()));
        }
        // Whole decades along the side, so that each has its label; what is counted by doubling only needs some room.
        Ok(match side {
            Side::X => (least / HEADROOM, most * HEADROOM),
            Side::Y => (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().floor() + 1.0)),
        })
    }

    fn draw<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x: impl AsRangedCoord<CoordDescType = X, Value = f64>,
        y: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
    ) -> Result<(), String>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
        f64: LogScalable,
    {
        let words = |error: DrawingAreaErrorKind<_>| error.to_string();
        area.fill(&PAPER).map_err(words)?;
        let text = |size: u32| (FONT, size).into_font().color(&INK);
        let below = area.margin(10, 4, 12, 12).titled(&self.title, text(18)).map_err(words)?;
        let (legend, below) = below.split_vertically(self.lines.len().div_ceil(LEGEND_COLUMNS) as u32 * LEGEND_ROW);
        let mut chart = ChartBuilder::on(&below)
            .margin_top(6)
            .x_label_area_size(42)
            .y_label_area_size(70)
            .build_cartesian_2d(x, y)
            .map_err(words)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(text(12))
            .axis_desc_style(text(13))
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .draw()
            .map_err(words)?;
        for (number, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let style = colour.stroke_width(2);
            chart.draw_series(LineSeries::new(line.points.iter().copied(), style).point_size(3)).map_err(words)?;
            // Beside the lines and not among them, where it would hide some.
            let (row, column) = (number / LEGEND_COLUMNS, number % LEGEND_COLUMNS);
            let left = 70 + (column as i32) * LEGEND_COLUMN;
            let middle = (row as u32 * LEGEND_ROW + LEGEND_ROW / 2) as i32;
            let sample = PathElement::new([(left, middle), (left + 20, middle)], style);
            legend.draw(&sample).map_err(words)?;
            let name = Text::new(line.name.as_str(), (left + 28, middle - 6), text(12));
            legend.draw(&name).map_err(words)?;
        }
        area.present().map_err(words)
    }
}

/// A value as people write it: 20k, 1.5k, 20, 1.5, 0.02.
fn number(value: f64) -> String {
    let (value, unit) = match value.abs() {
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        10.0.. => 0,
        1.0..10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{short}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: &str, logarithmic: bool) -> Chart {
        let json = format!(
            r#"{{"charts":[{{"id":"a_b-1","part":"x","title":"Speed & time","x":{{"label":"streams","logarithmic":{logarithmic}}},
            "y":{{"label":"kB/s"}},"lines":{lines}}}],"figures":[]}}"#
        );
        serde_json::from_str::<Results>(&json).unwrap().charts.remove(0)
    }

    #[test]
    fn every_line_is_drawn_with_its_name_and_the_axes_say_their_units() {
        let lines =
            r#"[{"name":"relay","points":[[1,10],[2,12000],[64,9]]},{"name":"floor","points":[[1,20],[64,30]]}]"#;
        for logarithmic in [false, true] {
            let svg = chart(lines, logarithmic).svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            for words in ["Speed &amp; time", "streams", "kB/s", "relay", "floor", "#FBFBF9"] {
                assert!(svg.contains(words), "{words} is not in {svg}");
            }
            assert!(svg.matches("<polyline").count() >= 2, "{svg}");
        }
    }

    #[test]
    fn what_has_no_place_is_an_error() {
        assert!(matches!(chart("[]", false).svg(), Err(ChartError::Empty(_))));
        let zero = r#"[{"name":"relay","points":[[0,1],[1,2]]}]"#;
        assert!(matches!(chart(zero, true).svg(), Err(ChartError::NotPositive(_))));
        assert!(chart(zero, false).svg().is_ok());
        let elsewhere = Chart { id: "../a".into(), ..chart(zero, false) };
        assert!(matches!(elsewhere.svg(), Err(ChartError::Name(_))));
    }

    #[test]
    fn values_are_written_as_people_write_them() {
        let written = [0.0, 0.02, 1.0, 1.5, 32.0, 9000.0, 25_000.0, 1_500_000.0].map(number);
        assert_eq!(written, ["0", "0.02", "1", "1.5", "32", "9000", "25k", "1.5M"]);
    }
}

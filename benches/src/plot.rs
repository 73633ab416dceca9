//! Pure. Horizontal bars in groups, as SVG, with a whisker from the smallest to the largest value.

use std::fmt::Write as _;

/// A bar of one series.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// Number of the series.
    pub series: usize,
    /// Its length.
    pub value: f64,
    /// Where the whisker starts.
    pub least: f64,
    /// Where it ends.
    pub most: f64,
}

/// Bars that belong together.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they are about.
    pub title: String,
    /// Top down.
    pub bars: Vec<Bar>,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 13.0;
const GAP: f64 = 12.0;
const TOP: f64 = 64.0;
const COLOURS: [&str; 4] = ["#c9b8a8", "#e07b39", "#8fa3b5", "#1f5f99"];

/// The drawing. Lengths are on one linear scale that starts at 0.
#[must_use]
pub fn bars(title: &str, series: &[String], groups: &[Group]) -> String {
    let bars: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = TOP + bars as f64 * BAR + groups.len() as f64 * GAP + 8.0;
    let largest = groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.most);
    let largest = largest.fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + value / largest * (WIDTH - LEFT - RIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">{}</text>\n",
        escape(title)
    );
    for (place, name) in series.iter().enumerate() {
        let left = 10.0 + place as f64 * 180.0;
        line(
            &mut svg,
            &format!(
                "<rect x=\"{left}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{}\"/>",
                colour(place)
            ),
        );
        line(
            &mut svg,
            &format!(
                "<text x=\"{}\" y=\"42\">{}</text>",
                left + 17.0,
                escape(name)
            ),
        );
    }
    let mut y = TOP;
    for group in groups.iter().filter(|group| !group.bars.is_empty()) {
        let middle = y + group.bars.len() as f64 * BAR / 2.0 + 4.0;
        line(
            &mut svg,
            &format!(
                "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                escape(&group.title)
            ),
        );
        for bar in &group.bars {
            let (end, centre) = (x(bar.value), y + (BAR - 2.0) / 2.0);
            line(
                &mut svg,
                &format!(
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>",
                    end - LEFT,
                    BAR - 2.0,
                    colour(bar.series)
                ),
            );
            line(
                &mut svg,
                &format!(
                    "<path d=\"M{:.1} {centre:.1}H{:.1}\" stroke=\"black\"/>",
                    x(bar.least),
                    x(bar.most)
                ),
            );
            let digits = if bar.value < 10.0 { 2 } else { 0 };
            line(
                &mut svg,
                &format!(
                    "<text x=\"{:.1}\" y=\"{:.1}\">{:.digits$}</text>",
                    x(bar.most) + 5.0,
                    y + BAR - 3.0,
                    bar.value
                ),
            );
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{text}");
}

fn colour(series: usize) -> &'static str {
    COLOURS.get(series).copied().unwrap_or("black")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

//! The table, and when a row is met.

use crate::round::{Series, median};

/// By how much a ratio may miss its target and still be called even: less would be within the noise.
const EVEN: f64 = 0.1;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// The unit in which the figures of a row are shown, and what the measured value is multiplied with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit(pub(crate) &'static str, pub(crate) f64);

pub(crate) const NANOSECONDS: Unit = Unit(" ns", 1e9);
pub(crate) const MICROSECONDS: Unit = Unit(" µs", 1e6);
pub(crate) const MILLIONS: Unit = Unit(" M/s", 1e-6);
/// Of messages of 1 MiB.
pub(crate) const GIGABYTES: Unit = Unit(" GB/s", (1 << 20) as f64 * 1e-9);
pub(crate) const PLAIN: Unit = Unit("", 1.0);

/// One line: ours beside the others.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) case: &'static str,
    pub(crate) unit: Unit,
    pub(crate) ours: Series,
    pub(crate) limit: Option<Series>,
    pub(crate) peers: Vec<Series>,
    /// What ours is divided by, round by round; nothing if it is a ratio already.
    pub(crate) against: Option<Series>,
    pub(crate) target: Target,
}

impl Row {
    fn ratio(&self) -> f64 {
        let ours = self.ours.values.iter().copied();
        match &self.against {
            Some(against) => median(ours.zip(&against.values).map(|(ours, other)| ours / other)),
            None => median(ours),
        }
    }

    fn met(&self) -> &'static str {
        let missed_by = match self.target {
            Target::AtMost(most) => self.ratio() - most,
            Target::AtLeast(least) => least - self.ratio(),
        };
        match missed_by {
            by if by <= 0.0 => "yes",
            by if by < EVEN => "even",
            by if by.is_nan() => "-", // What it is divided by could not be measured.
            _ => "no",
        }
    }

    pub(crate) fn is_missed(&self) -> bool {
        self.met() == "no"
    }

    /// The best of the peers; of throughputs that is the largest.
    fn best_peer(&self) -> Option<&Series> {
        let better = |a: &&Series, b: &&Series| median_of(a).total_cmp(&median_of(b));
        match self.target {
            Target::AtMost(_) => self.peers.iter().min_by(better),
            Target::AtLeast(_) => self.peers.iter().max_by(better),
        }
    }

    fn figure(&self, series: &Series) -> String {
        digits(median_of(series) * self.unit.1) + self.unit.0
    }

    fn named_figure(&self, series: Option<&Series>) -> String {
        series.map_or("-".to_owned(), |series| format!("{} {}", series.name, self.figure(series)))
    }
}

fn median_of(series: &Series) -> f64 {
    median(series.values.iter().copied())
}

/// Three digits are as many as a measurement is good for.
fn digits(value: f64) -> String {
    if value.is_nan() {
        return "-".to_owned();
    }
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}

pub(crate) fn print(rows: &[Row]) {
    println!("| row | case | ours | limit | best peer | ratio | target | met |");
    println!("|---|---|---|---|---|---|---|---|");
    for row in rows {
        let against = row.against.as_ref().map_or(String::new(), |against| format!(" × {}", against.name));
        let target = match row.target {
            Target::AtMost(most) => format!("≤ {most}{against}"),
            Target::AtLeast(least) => format!("≥ {least}{against}"),
        };
        let cells = [
            row.id,
            row.case,
            &row.figure(&row.ours),
            &row.named_figure(row.limit.as_ref()),
            &row.named_figure(row.best_peer()),
            &digits(row.ratio()),
            &target,
            row.met(),
        ];
        println!("| {} |", cells.join(" | "));
    }
}

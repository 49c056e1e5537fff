//! Reads the Prometheus text format (exposition format 0.0.4).

use std::{collections::BTreeMap, fmt};

/// All samples of one scrape.
#[derive(Clone)]
pub struct Metrics(Vec<Sample>);

/// One line a sample, buckets left out: what a failed test shows must be readable.
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Sample {
            name,
            labels,
            value,
        } in &self.0
        {
            if !name.ends_with("_bucket") {
                write!(f, "\n{name} {value}")?;
                labels
                    .iter()
                    .try_for_each(|(label, value)| write!(f, " {label}={value}"))?;
            }
        }
        Ok(())
    }
}

/// One time series.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Metrics {
    /// Panics on a line that is neither a comment nor a sample: a scraper would drop the lot.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line| Sample::parse(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
        Self(lines.map(parse).collect())
    }

    /// The samples with this name and at least these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let has = |sample: &Sample| labels.iter().all(|(k, v)| sample.label(k) == Some(*v));
        self.0
            .iter()
            .filter(|sample| sample.name == name && has(sample))
            .collect()
    }

    /// The sum of the samples with this name and at least these labels; 0 when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels)
            .iter()
            .map(|sample| sample.value)
            .sum()
    }

    /// The names of all samples.
    pub fn names(&self) -> std::collections::BTreeSet<&str> {
        self.0.iter().map(|sample| sample.name.as_str()).collect()
    }
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    fn parse(line: &str) -> Option<Self> {
        let name_end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(name_end);
        let mut labels = BTreeMap::new();
        let mut rest = rest;
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.insert(label.to_owned(), value);
                rest = after.strip_prefix(',').unwrap_or(after);
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }
}

/// The text up to the closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

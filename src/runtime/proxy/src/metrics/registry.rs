//! Counters, gauges and histograms in families that are bounded and forget what is idle.
//!
//! The hot path holds `Arc`s of series and touches only their atomics; the maps are locked when a
//! series is first used, scraped or swept.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::labels::LabelSet;

/// Label sets of one family beyond this many share one series with the label `overflow="true"`.
pub const MAX_SERIES: usize = 5_000;

/// One series.
pub trait Metric: Send + Sync + 'static {
    /// The word after `# TYPE`.
    const KIND: &'static str;
    /// Appends the lines of this series.
    fn encode(&self, name: &str, labels: &str, out: &mut String);
    /// A number that changes with every use.
    fn activity(&self) -> u64;
}

/// A number that grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// Counts of values up to given bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than `bounds`: the last is +Inf.
    buckets: Box<[AtomicU64]>,
    /// In thousandths of the unit, so that an integer will do.
    sum_thousandths: AtomicU64,
}

/// All series of one name.
pub struct Family<M> {
    name: &'static str,
    help: &'static str,
    make: fn() -> M,
    series: Mutex<FxHashMap<LabelSet, Series<M>>>,
}

struct Series<M> {
    metric: Arc<M>,
    activity: u64,
    active_at: Option<Instant>,
}

/// What a registry needs of any family.
pub trait AnyFamily: Send + Sync {
    /// Appends help, type and all series.
    fn encode(&self, out: &mut String);
    /// Drops series that nobody holds and that were not used for `retain`.
    fn sweep(&self, now: Instant, retain: Duration);
}

// === impl Counter ===

impl Counter {
    /// One more.
    pub fn incr(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Metric for Counter {
    const KIND: &'static str = "counter";

    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        line(out, name, "", labels, "", self.value());
    }

    fn activity(&self) -> u64 {
        self.value()
    }
}

// === impl Gauge ===

impl Gauge {
    /// One more.
    pub fn incr(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn decr(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Replaces the number.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Metric for Gauge {
    const KIND: &'static str = "gauge";

    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        line(out, name, "", labels, "", self.value());
    }

    fn activity(&self) -> u64 {
        self.value().unsigned_abs()
    }
}

// === impl Histogram ===

impl Histogram {
    /// Empty, with these ascending upper bounds.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            bounds,
            buckets,
            sum_thousandths: AtomicU64::new(0),
        }
    }

    /// Counts one value, in the unit of the bounds.
    pub fn observe(&self, value: f64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Relaxed);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "floats saturate; durations are never negative"
        )]
        self.sum_thousandths
            .fetch_add((value * 1e3) as u64, Relaxed);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

impl Metric for Histogram {
    const KIND: &'static str = "histogram";

    fn encode(&self, name: &str, labels: &str, out: &mut String) {
        let mut count = 0;
        let mut le = String::new();
        for (index, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            le.clear();
            let _ = match self.bounds.get(index) {
                Some(bound) => write!(le, "le=\"{bound}\""),
                None => write!(le, "le=\"+Inf\""),
            };
            line(out, name, "_bucket", labels, &le, count);
        }
        line(out, name, "_count", labels, "", count);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum that large is no longer exact anyway"
        )]
        let sum = self.sum_thousandths.load(Relaxed) as f64 / 1e3;
        line(out, name, "_sum", labels, "", sum);
    }

    fn activity(&self) -> u64 {
        self.count()
    }
}

// === impl Family ===

impl<M: Metric> Family<M> {
    /// A family without series.
    pub fn new(name: &'static str, help: &'static str, make: fn() -> M) -> Self {
        Self {
            name,
            help,
            make,
            series: Mutex::default(),
        }
    }

    /// The series with this label set, made if it is new.
    pub fn get(&self, labels: &LabelSet) -> Arc<M> {
        let mut map = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = map.get(labels) {
            return series.metric.clone();
        }
        let key = if map.len() < MAX_SERIES {
            labels.clone()
        } else {
            LabelSet::from("overflow=\"true\"")
        };
        map.entry(key)
            .or_insert_with(|| Series::new((self.make)()))
            .metric
            .clone()
    }
}

impl<M> Series<M> {
    fn new(metric: M) -> Self {
        Self {
            metric: Arc::new(metric),
            activity: 0,
            active_at: None,
        }
    }
}

impl<M: Metric> AnyFamily for Family<M> {
    fn encode(&self, out: &mut String) {
        // The lock is held only while the handles are copied, not while text is made.
        let mut series: Vec<(LabelSet, Arc<M>)> = {
            let map = self.series.lock().unwrap_or_else(PoisonError::into_inner);
            map.iter()
                .map(|(labels, s)| (labels.clone(), s.metric.clone()))
                .collect()
        };
        if series.is_empty() {
            return;
        }
        series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let _ = writeln!(out, "# HELP {} {}", self.name, self.help);
        let _ = writeln!(out, "# TYPE {} {}", self.name, M::KIND);
        for (labels, metric) in series {
            metric.encode(self.name, &labels, out);
        }
    }

    fn sweep(&self, now: Instant, retain: Duration) {
        let mut map = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, series| {
            let activity = series.metric.activity();
            let held = Arc::strong_count(&series.metric) > 1;
            let active_at = *series.active_at.get_or_insert(now);
            if held || activity != series.activity {
                series.activity = activity;
                series.active_at = Some(now);
                return true;
            }
            now.saturating_duration_since(active_at) < retain
        });
        if map.capacity() > 4 * map.len() + 64 {
            map.shrink_to_fit();
        }
    }
}

/// Writes `name_suffix{labels,extra} value`.
fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &str,
    extra: &str,
    value: impl std::fmt::Display,
) {
    let separator = if labels.is_empty() || extra.is_empty() {
        ""
    } else {
        ","
    };
    let _ = if labels.is_empty() && extra.is_empty() {
        writeln!(out, "{name}{suffix} {value}")
    } else {
        writeln!(out, "{name}{suffix}{{{labels}{separator}{extra}}} {value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(family: &dyn AnyFamily) -> String {
        let mut out = String::new();
        family.encode(&mut out);
        out
    }

    #[test]
    fn counters_are_written_with_their_labels() {
        let family = Family::new("request_total", "Requests.", Counter::default);
        assert_eq!(text(&family), "");
        family.get(&"direction=\"inbound\"".into()).add(3);
        family.get(&"".into()).incr();
        assert_eq!(
            text(&family),
            "# HELP request_total Requests.\n# TYPE request_total counter\n\
             request_total 1\nrequest_total{direction=\"inbound\"} 3\n"
        );
    }

    #[test]
    fn histogram_buckets_are_cumulative_and_bounds_inclusive() {
        let family = Family::new("ms", "h", || Histogram::new(&[1.0, 5.0]));
        let series = family.get(&"a=\"1\"".into());
        for value in [0.5, 1.0, 4.0, 9.0] {
            series.observe(value);
        }
        let text = text(&family);
        assert!(text.contains("ms_bucket{a=\"1\",le=\"1\"} 2\n"), "{text}");
        assert!(text.contains("ms_bucket{a=\"1\",le=\"5\"} 3\n"), "{text}");
        assert!(
            text.contains("ms_bucket{a=\"1\",le=\"+Inf\"} 4\n"),
            "{text}"
        );
        assert!(
            text.contains("ms_count{a=\"1\"} 4\nms_sum{a=\"1\"} 14.5\n"),
            "{text}"
        );
    }

    #[test]
    fn a_family_is_bounded() {
        let family = Family::new("n", "h", Counter::default);
        for n in 0..MAX_SERIES + 10 {
            family.get(&format!("n=\"{n}\"").into()).incr();
        }
        let text = text(&family);
        assert_eq!(text.lines().count(), MAX_SERIES + 1 + 2);
        assert!(text.contains("n{overflow=\"true\"} 10\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_series_are_forgotten_unless_held() {
        let family = Family::new("n", "h", Counter::default);
        let retain = Duration::from_secs(600);
        let held = family.get(&"held=\"1\"".into());
        family.get(&"held=\"0\"".into()).incr();
        family.sweep(Instant::now(), retain);
        tokio::time::advance(Duration::from_secs(599)).await;
        family.sweep(Instant::now(), retain);
        assert_eq!(text(&family).lines().count(), 4);
        tokio::time::advance(Duration::from_secs(2)).await;
        family.sweep(Instant::now(), retain);
        assert_eq!(text(&family).lines().count(), 3);
        drop(held);
        tokio::time::advance(Duration::from_secs(601)).await;
        family.sweep(Instant::now(), retain);
        assert_eq!(text(&family), "");
    }
}

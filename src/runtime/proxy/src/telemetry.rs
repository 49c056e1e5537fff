//! Logs: plain or JSON lines on standard error, with a filter that can be changed at run time.

use std::io;

use tracing_subscriber::{
    EnvFilter, Registry, filter::ParseError, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Where the filter can be read and changed.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// The level of a filter that cannot be parsed, and what is used in its place.
const FALLBACK: &str = "warn,linkerd=info";

/// Begins to log. A filter that cannot be parsed is replaced and reported.
pub fn start(filter: &str, format: LogFormat) -> LogLevel {
    let (parsed, error) = match parse(filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (parse(FALLBACK).unwrap_or_default(), Some(error)),
    };
    let (layer, handle) = reload::Layer::new(parsed);
    let registry = tracing_subscriber::registry().with(layer);
    // A second start (in tests) keeps the first subscriber.
    let _ = match format {
        LogFormat::Plain => registry
            .with(fmt::layer().with_writer(io::stderr).with_ansi(false))
            .try_init(),
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(io::stderr),
            )
            .try_init(),
    };
    if let Some(error) = error {
        tracing::warn!(code = "MESH_PROXY_LOG_FILTER", %error, filter, "using {FALLBACK}");
    }
    LogLevel { handle }
}

/// A filter in which `linkerd` names this crate.
fn parse(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(translate(filter))
}

/// Directives for targets that begin with `linkerd` are what users of Linkerd write; they mean the
/// proxy's own modules.
fn translate(filter: &str) -> String {
    let directives = filter
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|directive| match directive.split_once('=') {
            Some((target, level)) if is_ours(target) => format!("mesh_proxy={level}"),
            None if is_ours(directive) => "mesh_proxy=trace".to_owned(),
            _ => directive.to_owned(),
        });
    directives.collect::<Vec<_>>().join(",")
}

fn is_ours(target: &str) -> bool {
    target.starts_with("linkerd")
}

// === impl LogLevel ===

impl LogLevel {
    /// The filter now.
    pub fn current(&self) -> String {
        self.handle
            .with_current(ToString::to_string)
            .unwrap_or_default()
    }

    /// Replaces the filter, or tells what is wrong with the new one.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        let parsed = parse(filter).map_err(|e| e.to_string())?;
        self.handle.reload(parsed).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkerd_targets_mean_this_crate() {
        assert_eq!(
            translate("warn,linkerd=info, hickory=error"),
            "warn,mesh_proxy=info,hickory=error"
        );
        assert_eq!(translate("linkerd2_proxy=debug"), "mesh_proxy=debug");
        assert_eq!(translate("info"), "info");
        assert!(parse("warn,linkerd=nonsense").is_err());
    }
}

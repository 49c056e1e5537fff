//! Label sets in their text form, rendered once and shared.

use std::{fmt::Write as _, sync::Arc};

/// A growing label set: `key="value",key="value"`.
#[derive(Clone, Debug, Default)]
pub struct Labels(String);

/// A finished label set. Cheap to clone, compared by text.
pub type LabelSet = Arc<str>;

impl Labels {
    /// No label.
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues a finished set.
    pub fn from_set(set: &str) -> Self {
        Self(set.to_owned())
    }

    /// Adds one label; the value is escaped.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.push(key, value);
        self
    }

    /// Adds one label unless the value is `None`.
    #[must_use]
    pub fn maybe(self, key: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds one label; the value is escaped, the key is made a legal name.
    pub fn push(&mut self, key: &str, value: impl std::fmt::Display) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.extend(
            key.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
        );
        self.0.push_str("=\"");
        // Writing to a string cannot fail.
        let _ = write!(Escaped(&mut self.0), "{value}");
        self.0.push('"');
    }

    /// Adds a finished set.
    #[must_use]
    pub fn join(mut self, set: &str) -> Self {
        if !set.is_empty() {
            if !self.0.is_empty() {
                self.0.push(',');
            }
            self.0.push_str(set);
        }
        self
    }

    /// The finished set.
    pub fn finish(self) -> LabelSet {
        self.0.into()
    }
}

/// Escapes what the exposition format asks to be escaped in label values.
struct Escaped<'a>(&'a mut String);

impl std::fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_keys_made_legal() {
        let labels = Labels::new()
            .with("a-b", "x\"y\\z\n")
            .maybe("none", None::<&str>)
            .with("n", 5);
        assert_eq!(&*labels.finish(), r#"a_b="x\"y\\z\n",n="5""#);
        assert_eq!(
            &*Labels::new().join("").join("a=\"1\"").with("b", 2).finish(),
            r#"a="1",b="2""#
        );
    }
}

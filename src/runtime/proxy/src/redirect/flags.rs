//! Splits a command line into flags, with the conventions of pflag (the library of Linkerd's and
//! kubectl's flags): `--name value`, `--name=value`, `-n value`, `-n=value`, `-nvalue`; a switch
//! takes a value only after `=`.

use std::fmt;

/// One flag that a command understands.
pub(crate) struct Spec {
    /// The name without its dashes.
    pub(crate) long: &'static str,
    /// The one-letter name, if there is one.
    pub(crate) short: Option<char>,
    /// Whether the flag stands for `true` when no value follows.
    pub(crate) is_switch: bool,
}

/// One flag found on the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The long name, whichever form was used.
    pub(crate) name: &'static str,
    /// The text given; `true` for a bare switch.
    pub(crate) value: String,
}

/// One mistake of the command line; its `Display` is the whole line for the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Stable and documented: the command's prefix and a word, as in `MESH_REDIRECT_BAD_PORT`.
    pub(crate) code: String,
    /// What is wrong and what to give instead.
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Collects the mistakes of one command line.
pub(crate) struct Problems {
    prefix: &'static str,
    list: Vec<Problem>,
}

impl Problems {
    /// `prefix` begins every code, as in `MESH_REDIRECT`.
    pub(crate) const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            list: Vec::new(),
        }
    }

    /// Adds a mistake; `code` is the last part of the stable code.
    pub(crate) fn add(&mut self, code: &str, message: String) {
        self.list.push(Problem {
            code: format!("{}_{code}", self.prefix),
            message,
        });
    }

    /// `value` if nothing was wrong, else every mistake in the order found.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.list.is_empty() {
            Ok(value)
        } else {
            Err(self.list)
        }
    }
}

/// Reads `args` by `specs`. What cannot be read goes to `problems`; the rest is still returned.
pub(crate) fn scan(args: &[String], specs: &[Spec], problems: &mut Problems) -> Vec<Given> {
    let mut found = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some((spec, inline)) = lookup(arg, specs) else {
            if arg.starts_with('-') {
                let known: Vec<String> = specs.iter().map(|s| format!("--{}", s.long)).collect();
                let message = format!("no flag {arg:?}; the flags are {}", known.join(", "));
                problems.add("UNKNOWN_FLAG", message);
            } else {
                let hint = "give a switch its value after an equals sign, as in --ipv6=false";
                problems.add(
                    "UNEXPECTED_ARGUMENT",
                    format!("{arg:?} belongs to no flag; {hint}"),
                );
            }
            continue;
        };
        let value = match inline {
            Some(value) => Some(value),
            None if spec.is_switch => Some("true".to_owned()),
            None => rest.next().cloned(),
        };
        match value {
            Some(value) => found.push(Given {
                name: spec.long,
                value,
            }),
            None => problems.add("MISSING_VALUE", format!("--{} needs a value", spec.long)),
        }
    }
    found
}

/// The flag that `arg` names, and the value written in the same word.
fn lookup<'s>(arg: &str, specs: &'s [Spec]) -> Option<(&'s Spec, Option<String>)> {
    if let Some(long) = arg.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        return specs.iter().find(|s| s.long == name).map(|s| (s, value));
    }
    let mut letters = arg.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let spec = specs.iter().find(|s| s.short == Some(letter))?;
    let tail = letters.as_str();
    let value = tail.strip_prefix('=').unwrap_or(tail);
    Some((spec, (!tail.is_empty()).then(|| value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec] = &[
        Spec {
            long: "port",
            short: Some('p'),
            is_switch: false,
        },
        Spec {
            long: "ipv6",
            short: None,
            is_switch: true,
        },
    ];

    fn scan_words(line: &str) -> Result<Vec<(&'static str, String)>, Vec<String>> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let mut problems = Problems::new("MESH_TEST");
        let found = scan(&args, SPECS, &mut problems);
        let found = found.into_iter().map(|g| (g.name, g.value)).collect();
        problems
            .finish(found)
            .map_err(|list| list.into_iter().map(|p| p.code).collect())
    }

    #[test]
    fn reads_every_form_of_a_value() {
        for line in ["--port 1", "--port=1", "-p 1", "-p=1", "-p1"] {
            assert_eq!(
                scan_words(line),
                Ok(vec![("port", "1".to_owned())]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_switch_takes_its_value_only_after_an_equals_sign() {
        assert_eq!(scan_words("--ipv6"), Ok(vec![("ipv6", "true".to_owned())]));
        assert_eq!(
            scan_words("--ipv6=false"),
            Ok(vec![("ipv6", "false".to_owned())])
        );
        assert_eq!(
            scan_words("--ipv6 false"),
            Err(vec!["MESH_TEST_UNEXPECTED_ARGUMENT".to_owned()])
        );
    }

    #[test]
    fn tells_all_mistakes_at_once() {
        let codes = [
            "UNKNOWN_FLAG",
            "UNKNOWN_FLAG",
            "UNEXPECTED_ARGUMENT",
            "MISSING_VALUE",
        ];
        let expected = codes.map(|c| format!("MESH_TEST_{c}")).to_vec();
        assert_eq!(scan_words("--prot=1 -x stray --port"), Err(expected));
    }
}

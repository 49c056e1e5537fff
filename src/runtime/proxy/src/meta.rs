//! The names of resources that decide something, for labels and explanations.

use std::{collections::HashMap, sync::Arc};

use crate::{metrics::Labels, pb::meta};

/// A resource, or something built in (kind `default`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    pub group: Arc<str>,
    pub kind: Arc<str>,
    pub name: Arc<str>,
    pub namespace: Arc<str>,
    pub section: Arc<str>,
    /// 0 when it does not matter.
    pub port: u16,
}

// === impl Meta ===

impl Meta {
    /// Something built in.
    pub fn default_of(name: &str) -> Self {
        Self::new("", "default", name)
    }

    /// A resource of which only this much matters.
    pub fn new(group: &str, kind: &str, name: &str) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
            namespace: "".into(),
            section: "".into(),
            port: 0,
        }
    }

    /// Whether this is built in, not a resource that someone wrote.
    pub fn is_default(&self) -> bool {
        &*self.kind == "default"
    }

    /// `PREFIX_group`, `PREFIX_kind` and `PREFIX_name`.
    pub fn labels(&self, prefix: &str) -> Labels {
        Labels::new()
            .with(&format!("{prefix}_group"), &self.group)
            .with(&format!("{prefix}_kind"), &self.kind)
            .with(&format!("{prefix}_name"), &self.name)
    }

    /// Those, and `PREFIX_namespace`.
    pub fn labels_with_namespace(&self, prefix: &str) -> Labels {
        Labels::new()
            .with(&format!("{prefix}_group"), &self.group)
            .with(&format!("{prefix}_kind"), &self.kind)
            .with(&format!("{prefix}_namespace"), &self.namespace)
            .with(&format!("{prefix}_name"), &self.name)
    }

    /// Those, `PREFIX_port` and `PREFIX_section_name`.
    pub fn labels_with_port(&self, prefix: &str) -> Labels {
        let labels = self.labels_with_namespace(prefix);
        let labels = match self.port {
            0 => labels.with(&format!("{prefix}_port"), ""),
            port => labels.with(&format!("{prefix}_port"), port),
        };
        labels.with(&format!("{prefix}_section_name"), &self.section)
    }

    /// `None` for a kind that is not known.
    pub fn from_wire(wire: &meta::Metadata) -> Option<Self> {
        match wire.kind.as_ref()? {
            meta::metadata::Kind::Default(name) => Some(Self::default_of(name)),
            meta::metadata::Kind::Resource(resource) => Some(Self {
                namespace: resource.namespace.as_str().into(),
                section: resource.section.as_str().into(),
                port: u16::try_from(resource.port).unwrap_or(0),
                ..Self::new(&resource.group, &resource.kind, &resource.name)
            }),
        }
    }

    /// As `from_wire`; without a known kind something built in that is called `unknown`.
    pub fn from_optional(wire: Option<&meta::Metadata>) -> Self {
        wire.and_then(Self::from_wire)
            .unwrap_or_else(|| Self::default_of("unknown"))
    }

    /// Of the labels `group`, `kind` and `name`.
    pub fn from_labels(labels: &HashMap<String, String>) -> Self {
        let label = |key: &str| labels.get(key).map_or("", String::as_str);
        match labels.get("kind") {
            Some(_) => Self::new(label("group"), label("kind"), label("name")),
            None => Self::default_of(labels.get("name").map_or("unknown", String::as_str)),
        }
    }
}

impl std::fmt::Display for Meta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

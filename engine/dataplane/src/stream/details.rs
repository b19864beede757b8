//! What went wrong, or right, with a request, in words: a fixed text, or one that a configuration named.

use std::rc::Rc;

/// Envoy's response code details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Details {
    Fixed(&'static str),
    /// Made when the configuration was compiled; cloning it allocates nothing.
    Named(Rc<str>),
}

impl Details {
    /// The words.
    pub fn as_str(&self) -> &str {
        match self {
            Details::Fixed(text) => text,
            Details::Named(text) => text,
        }
    }
}

impl Default for Details {
    fn default() -> Self {
        Details::Fixed("")
    }
}

impl From<&'static str> for Details {
    fn from(text: &'static str) -> Self {
        Details::Fixed(text)
    }
}

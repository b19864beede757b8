//! The classes that a client may have made at a provider. Whoever reads hessian2 makes objects of whatever class it names, which
//! has been the way into many a Java process: so none is written that the configuration does not name.

use super::JavaType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Its name alone: its fields' values are what they are by themselves.
    Unknown,
    /// Types of fields, in order of their names.
    Fields(BTreeMap<String, JavaType>),
    /// An enum.
    Enum,
}

/// The classes of one bridge, by name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Classes {
    by_name: BTreeMap<Arc<str>, Shape>,
}

impl Classes {
    /// Names a class. What is known of it already stays, unless more is known now.
    pub fn add(&mut self, name: &str, shape: Shape) {
        let known = self.by_name.entry(name.into()).or_insert(Shape::Unknown);
        if *known == Shape::Unknown {
            *known = shape;
        }
    }

    /// Names the classes that a type names.
    pub fn add_classes_of(&mut self, java_type: &JavaType) {
        java_type.for_each_class(&mut |name| self.add(name, Shape::Unknown));
    }

    /// What is known of a class; `None` if it may not be made.
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.by_name.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.by_name.iter().map(|(name, shape)| (&**name, shape))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

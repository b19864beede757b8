//! Subsets of a cluster's endpoints, by their metadata. Plain data.

use std::sync::Arc;

/// Keys with their values, in the order of the keys, each of them once.
pub type Metadata = Arc<[(String, String)]>;

/// Of these keys with their values, in any order; of a key that is there twice the first counts.
pub fn metadata(mut values: Vec<(String, String)>) -> Metadata {
    values.sort_by(|one, other| one.0.cmp(&other.0));
    values.dedup_by(|later, earlier| later.0 == earlier.0);
    values.into()
}

/// Metadata looked at by these keys only; `None` if one of them is missing. All are in the order of the keys.
pub fn restrict(metadata: &[(String, String)], keys: &[String]) -> Option<Metadata> {
    let value = |key: &String| metadata.iter().find(|(known, _)| known == key).cloned();
    keys.iter().map(value).collect()
}

/// Whether the metadata have just these keys. All are in the order of the keys.
pub fn has_keys(metadata: &[(String, String)], keys: &[String]) -> bool {
    metadata.iter().map(|(key, _)| key).eq(keys)
}

/// By which metadata a cluster's endpoints are told apart (Envoy's `lb_subset_config`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubsetPolicy {
    pub selectors: Vec<SubsetSelector>,
    pub fallback: SubsetFallback,
    /// For [`SubsetFallback::DefaultSubset`].
    pub default_subset: Metadata,
}

/// Endpoints that agree in the values of these keys are a subset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubsetSelector {
    /// In order, none twice; at least one.
    pub keys: Vec<String>,
    /// `None`: the policy's.
    pub fallback: Option<SubsetFallback>,
}

/// What a request gets whose subset has no endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SubsetFallback {
    /// None.
    #[default]
    NoFallback,
    AnyEndpoint,
    DefaultSubset,
    /// Of the subset that is left when it is looked at by these keys only: fewer than the selector has, in order.
    KeysSubset(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&str, &str)]) -> Metadata {
        metadata(values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn metadata_are_the_same_whatever_the_order_of_their_keys() {
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1"), ("b", "2")]), of(&[("a", "2"), ("b", "1")]));
        assert_eq!(of(&[("a", "1"), ("a", "2")]), of(&[("a", "1")]));
        assert_eq!(of(&[]), Metadata::default());
    }

    #[test]
    fn metadata_are_looked_at_by_some_keys() {
        let whole = of(&[("stage", "prod"), ("version", "1")]);
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(restrict(&whole, &keys(&["version"])), Some(of(&[("version", "1")])));
        assert_eq!(restrict(&whole, &keys(&["stage", "zone"])), None);
        assert!(has_keys(&whole, &keys(&["stage", "version"])) && !has_keys(&whole, &keys(&["stage"])));
    }
}

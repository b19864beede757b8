//! Which filters there are, one line each.

use super::{
    Filter, Parts, Settings, adaptive_concurrency, compressor, concurrency_limit, cors, decompressor, fault,
    local_rate_limit, rbac,
};
use std::rc::Rc;

macro_rules! filters {
    ($($name:literal: $variant:ident, $module:ident;)*) => {
        /// The configuration of one filter.
        #[derive(Debug, Clone, PartialEq)]
        pub enum FilterConfig {
            $($variant(Box<$module::Config>),)*
        }

        /// What the filters of a listener count on one core.
        #[derive(Debug, Default)]
        pub struct FilterCounters {
            $(pub $module: $module::Counters,)*
        }

        impl FilterConfig {
            /// Every filter's name in configurations.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The name of the filter.
            pub fn name(&self) -> &'static str {
                match self { $(FilterConfig::$variant(_) => $name,)* }
            }

            /// Whether it tells paths apart.
            pub fn looks_at_paths(&self) -> bool {
                match self { $(FilterConfig::$variant(config) => config.looks_at_paths(),)* }
            }

            /// Whether it asks for header fields.
            pub fn looks_at_fields(&self) -> bool {
                match self { $(FilterConfig::$variant(config) => config.looks_at_fields(),)* }
            }

            pub(super) fn compile(&self, parts: &Parts<'_>) -> Rc<dyn Filter> {
                match self { $(FilterConfig::$variant(config) => config.compile(parts),)* }
            }

            /// See [`Settings::over`]. `general` is of the same filter.
            pub(super) fn over(&self, general: &FilterConfig) -> FilterConfig {
                match (self, general) {
                    $((FilterConfig::$variant(special), FilterConfig::$variant(general)) => {
                        FilterConfig::$variant(Box::new(special.over(general)))
                    })*
                    _ => self.clone(),
                }
            }
        }
    };
}

filters! {
    "fault": Fault, fault;
    "rbac": Rbac, rbac;
    "cors": Cors, cors;
    "local_rate_limit": LocalRateLimit, local_rate_limit;
    "concurrency_limit": ConcurrencyLimit, concurrency_limit;
    "adaptive_concurrency": AdaptiveConcurrency, adaptive_concurrency;
    "compressor": Compressor, compressor;
    "decompressor": Decompressor, decompressor;
}

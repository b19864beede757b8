//! Who should have how much of a bucket: arithmetic and nothing else.

use sidering_dataplane::filter::local_rate_limit::{Limit, Share};

/// What a core wants of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// At most this many tokens.
    Tokens(u64),
    /// As many as it can get: it has run dry.
    All,
}

/// Splits a bucket: everyone gets what it wants up to an equal share of what is there, and those that have run dry get the
/// rest in equal parts. If none has, what nobody wants is left over.
pub(super) fn split(limit: &Limit, wants: &[Want]) -> Vec<Share> {
    let most = |want: &Want| match want {
        Want::Tokens(tokens) => *tokens,
        Want::All => u64::MAX,
    };
    let mut parts = vec![0; wants.len()];
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|core| most(&wants[*core]));
    let mut left = limit.max_tokens;
    for (served, core) in order.iter().enumerate() {
        let waiting = (wants.len() - served) as u64;
        // Rounded up: what cannot be divided goes to those that are served first among equals.
        parts[*core] = most(&wants[*core]).min(left.div_ceil(waiting));
        left -= parts[*core];
    }
    let fills = fills(limit, &parts);
    parts.iter().zip(fills).map(|(max, fill)| Share { max_tokens: *max, tokens_per_fill: fill }).collect()
}

/// Fills go along with room, so that none is wasted on a core that has none.
fn fills(limit: &Limit, parts: &[u64]) -> Vec<u64> {
    let part = |room: u64| {
        (u128::from(limit.tokens_per_fill) * u128::from(room) / u128::from(limit.max_tokens)) as u64
    };
    let mut fills: Vec<u64> = parts.iter().map(|room| part(*room)).collect();
    if parts.iter().sum::<u64>() == limit.max_tokens {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|core| std::cmp::Reverse(parts[*core]));
        let left = limit.tokens_per_fill - fills.iter().sum::<u64>();
        for core in order.iter().take(left as usize) {
            fills[*core] += 1;
        }
    }
    fills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_what_it_needs_and_the_dry_ones_get_the_rest() {
        use Want::{All, Tokens};
        for (max, fill, wants, expected) in [
            (100, 10, &[All, Tokens(0), Tokens(0), Tokens(0)][..], &[(100, 10), (0, 0), (0, 0), (0, 0)][..]),
            (100, 10, &[All, Tokens(10), Tokens(0), Tokens(60)], &[(45, 5), (10, 1), (0, 0), (45, 4)]),
            (100, 10, &[All, All, Tokens(10), Tokens(0)], &[(45, 5), (45, 4), (10, 1), (0, 0)]),
            (1, 1, &[All, Tokens(0)], &[(1, 1), (0, 0)]),
            (1, 1, &[Tokens(0), All], &[(0, 0), (1, 1)]),
            (3, 1, &[All, All], &[(2, 1), (1, 0)]),
            (10, 100, &[All, Tokens(1)], &[(9, 90), (1, 10)]),
            (100, 10, &[Tokens(20), Tokens(30)], &[(20, 2), (30, 3)]),
        ] {
            let limit = Limit { max_tokens: max, tokens_per_fill: fill, fill_interval_ms: 50 };
            let shares: Vec<_> =
                split(&limit, wants).iter().map(|share| (share.max_tokens, share.tokens_per_fill)).collect();
            assert_eq!(shares, expected, "{max} {wants:?}");
        }
    }
}

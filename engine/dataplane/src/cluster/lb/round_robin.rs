//! Round robin, smooth where weights differ: an endpoint of weight 5 among weights of 1 is not picked five times in a row.

use crate::config::Endpoint;

/// The turn of one core. Cores start at different endpoints so that they do not all pick the first one first.
#[derive(Debug)]
pub struct RoundRobin {
    next: usize,
    /// One credit per endpoint where weights differ, else empty.
    credits: Vec<i64>,
}

impl RoundRobin {
    /// `start` may be any number.
    pub fn new(endpoints: &[Endpoint], start: usize) -> Self {
        let differing = endpoints.windows(2).any(|pair| pair[0].weight != pair[1].weight);
        let credits = if differing { vec![0; endpoints.len()] } else { vec![] };
        RoundRobin { next: start % endpoints.len().max(1), credits }
    }

    /// The next endpoint's index; `None` only if there is none at all.
    pub fn pick(&mut self, endpoints: &[Endpoint]) -> Option<usize> {
        if endpoints.is_empty() {
            return None;
        }
        if self.credits.is_empty() {
            let picked = self.next;
            self.next = if picked + 1 == endpoints.len() { 0 } else { picked + 1 };
            return Some(picked);
        }
        Some(self.pick_weighted(endpoints))
    }

    /// Every endpoint earns its weight; the richest is picked and pays for the round.
    fn pick_weighted(&mut self, endpoints: &[Endpoint]) -> usize {
        let mut total = 0;
        let mut richest = 0;
        for (index, endpoint) in endpoints.iter().enumerate() {
            total += i64::from(endpoint.weight);
            self.credits[index] += i64::from(endpoint.weight);
            if self.credits[index] > self.credits[richest] {
                richest = index;
            }
        }
        self.credits[richest] -= total;
        richest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Address;

    fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
        let address = Address::Ip(([127, 0, 0, 1], 1).into());
        weights.iter().map(|&weight| Endpoint { address: address.clone(), weight }).collect()
    }

    fn picks(weights: &[u32], start: usize, count: usize) -> Vec<usize> {
        let endpoints = endpoints(weights);
        let mut balancer = RoundRobin::new(&endpoints, start);
        (0..count).filter_map(|_| balancer.pick(&endpoints)).collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(picks(&[1, 1, 1], 1, 6), [1, 2, 0, 1, 2, 0]);
        assert_eq!(picks(&[], 3, 2), [0; 0]);
    }

    #[test]
    fn weights_are_exact_and_spread_out() {
        assert_eq!(picks(&[5, 1, 1], 0, 7), [0, 0, 1, 0, 2, 0, 0]);
        let many = picks(&[90, 10], 0, 1000);
        assert_eq!(many.iter().filter(|&&picked| picked == 1).count(), 100);
    }
}

//! A token bucket over a count that grows anyway: so what is limited pays nothing for being counted.

/// So many per second, and what came to less than one second's worth at once.
#[derive(Debug)]
pub(super) struct Rate {
    per_s: u64,
    /// The count up to which everything is paid for.
    paid: u64,
    paid_at_ns: u64,
}

impl Rate {
    pub(super) fn new(per_s: u64) -> Self {
        Self { per_s: per_s.max(1), paid: 0, paid_at_ns: 0 }
    }

    /// For how many nanoseconds whoever is about to add to `count` has to wait.
    pub(super) fn wait_ns(&mut self, count: u64, now_ns: u64) -> u64 {
        let owed = count.saturating_sub(self.paid);
        let passed_ns = now_ns.saturating_sub(self.paid_at_ns);
        let earned = u64::try_from(u128::from(passed_ns) * u128::from(self.per_s) / 1_000_000_000).unwrap_or(u64::MAX);
        if earned >= owed {
            (self.paid, self.paid_at_ns) = (count, now_ns);
        } else {
            // What is less than one is earned later.
            self.paid += earned;
            self.paid_at_ns += ns_of(earned, self.per_s);
        }
        let owed = count.saturating_sub(self.paid).saturating_sub(self.per_s);
        ns_of(owed, self.per_s)
    }
}

fn ns_of(count: u64, per_s: u64) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / u128::from(per_s)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_is_free_at_once_and_what_is_owed_has_to_be_waited_for() {
        const S: u64 = 1_000_000_000;
        let mut rate = Rate::new(1000);
        assert_eq!(rate.wait_ns(0, 0), 0);
        assert_eq!(rate.wait_ns(1000, 0), 0);
        assert_eq!(rate.wait_ns(3000, 0), 2 * S);
        assert_eq!(rate.wait_ns(3000, S), S);
        assert_eq!(rate.wait_ns(3000, 2 * S), 0);
        assert_eq!(rate.wait_ns(4000, 3 * S), 0);
        // What was not used is not saved.
        assert_eq!(rate.wait_ns(4000, 100 * S), 0);
        assert_eq!(rate.wait_ns(7000, 100 * S), 2 * S);
    }
}

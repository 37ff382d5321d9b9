//! Cohorts: sets of holders whose credentials have the same visible parts, so that verifiers that compare the
//! credentials cannot tell the holders apart.

/// Summary of the cohort sizes of one credential type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortSummary {
    /// Number of cohorts that have a holder.
    pub cohorts: u64,
    /// Number of holders in all cohorts together.
    pub holders: u64,
    /// Number of holders in the smallest cohort.
    pub smallest_size: u64,
    /// Median cohort size, by holder: the smallest size such that at least half of the holders are in cohorts of at
    /// most this size.
    pub median_size: u64,
}

impl CohortSummary {
    /// Summarises cohorts by their numbers of holders. Empty cohorts are ignored; `None` if there are no others.
    #[must_use]
    pub fn from_sizes(sizes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut sizes: Vec<u64> = sizes.into_iter().filter(|size| *size > 0).collect();
        sizes.sort_unstable();
        let holders = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let half = holders.div_ceil(2);
        let mut counted = 0_u64;
        let median = sizes.iter().copied().find(|size| {
            counted = counted.saturating_add(*size);
            counted >= half
        })?;
        let cohorts = u64::try_from(sizes.len()).unwrap_or(u64::MAX);
        Some(Self { cohorts, holders, smallest_size: *sizes.first()?, median_size: median })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_holders_and_not_of_sets() {
        let of = |sizes: &[u64]| CohortSummary::from_sizes(sizes.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0, 0]), None);
        let all = |cohorts, holders, smallest, median| {
            Some(CohortSummary { cohorts, holders, smallest_size: smallest, median_size: median })
        };
        assert_eq!(of(&[5]), all(1, 5, 5, 5));
        // Of 103 holders three are in cohorts of their own, and the median one shares with a hundred.
        assert_eq!(of(&[1, 100, 1, 1]), all(4, 103, 1, 100));
        assert_eq!(of(&[1, 1, 1, 1, 2]), all(5, 6, 1, 1));
        assert_eq!(of(&[2, 2, 0]), all(2, 4, 2, 2));
    }
}

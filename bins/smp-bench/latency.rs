//! Latencies, counted in buckets that are 1/32 of their value wide: any number of them in constant memory.

use std::time::Duration;

const FINE_BITS: u32 = 5;
const FINE: u64 = 1 << FINE_BITS;

/// How often which latency was met, in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket.saturating_add(1), 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.max = self.max.max(micros);
    }

    /// So many microseconds were enough for `percent` of all; 0 if there were none.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let wanted = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0_u64;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                return upper_end(bucket).min(self.max);
            }
        }
        0
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

/// Values below 64 have a bucket each; above, every power of two has 32.
fn bucket(micros: u64) -> usize {
    let shift = micros.max(FINE).ilog2().saturating_sub(FINE_BITS);
    let fine = (micros >> shift).saturating_add(u64::from(shift).saturating_mul(FINE));
    usize::try_from(fine).unwrap_or(usize::MAX)
}

/// The largest value in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let shift = (bucket / FINE).saturating_sub(1);
    let fine = bucket.saturating_sub(shift.saturating_mul(FINE)).saturating_add(1);
    fine.checked_shl(u32::try_from(shift).unwrap_or(u32::MAX)).map_or(u64::MAX, |end| end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_a_32nd_of_the_end_of_its_bucket() {
        for micros in (0..5000).chain([12_345, 999_999, 1 << 40, u64::from(u32::MAX)]) {
            let end = upper_end(bucket(micros));
            assert!(micros <= end && end - micros <= micros / 32, "{micros} up to {end}");
        }
    }

    #[test]
    fn percentiles_come_in_order_and_none_of_nothing_is_0() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), 0);
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        let close = |value: u64, expected: u64| value >= expected && value <= expected + expected / 32;
        assert!(close(latencies.percentile(50), 500));
        assert!(close(latencies.percentile(99), 990));
        assert_eq!(latencies.percentile(100), 1000);
        assert_eq!(latencies.max(), 1000);
    }
}

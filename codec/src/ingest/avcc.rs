//! `avcC`: the record that an MP4 file keeps its H.264 parameter sets in.

use super::Framing;
use thiserror::Error;

/// Why bytes are no `avcC` record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AvcConfigError {
    /// It ends before its last field.
    #[error("avcC record ends too early")]
    Short,
    /// A version that is not known.
    #[error("avcC record has version {0}: wants 1")]
    Version(u8),
    /// A length of NAL units that cannot be.
    #[error("avcC record has lengths of 3 bytes: wants 1, 2 or 4")]
    Length,
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig<'a> {
    length_bytes: u8,
    sets: Vec<&'a [u8]>,
}

impl<'a> AvcConfig<'a> {
    /// Parses a record. What may follow the picture parameter sets is of no interest here.
    ///
    /// # Errors
    /// If it is cut short, or of a version or length size that is not known.
    pub fn parse(record: &'a [u8]) -> Result<Self, AvcConfigError> {
        let (&[version, _, _, _, length, count], mut rest) =
            record.split_first_chunk::<6>().ok_or(AvcConfigError::Short)?;
        if version != 1 {
            return Err(AvcConfigError::Version(version));
        }
        let length_bytes = (length & 3) + 1;
        if length_bytes == 3 {
            return Err(AvcConfigError::Length);
        }
        let mut sets = Vec::new();
        let mut take = |count: u8, mut rest: &'a [u8]| {
            for _ in 0..count {
                let (&length, after) = rest.split_first_chunk::<2>().ok_or(AvcConfigError::Short)?;
                let (set, after) =
                    after.split_at_checked(u16::from_be_bytes(length).into()).ok_or(AvcConfigError::Short)?;
                sets.push(set);
                rest = after;
            }
            Ok(rest)
        };
        rest = take(count & 0x1f, rest)?;
        let (&count, rest) = rest.split_first().ok_or(AvcConfigError::Short)?;
        take(count, rest)?;
        Ok(Self { length_bytes, sets })
    }

    /// How the samples that belong to it come.
    pub fn framing(&self) -> Framing {
        Framing::LengthPrefixed { bytes: self.length_bytes }
    }

    /// Its parameter sets: NAL units without start codes, sequence parameter sets first.
    pub fn parameter_sets(&self) -> &[&'a [u8]] {
        &self.sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Header, one set of three bytes, one of two.
    const RECORD: &[u8] = &[1, 66, 0, 31, 0xff, 0xe1, 0, 3, 0x67, 66, 0, 1, 0, 2, 0x68, 7];

    #[test]
    fn sets_and_the_size_of_lengths_are_read() {
        let config = AvcConfig::parse(RECORD).unwrap();
        assert_eq!(config.parameter_sets(), [&[0x67, 66, 0][..], &[0x68, 7]]);
        assert_eq!(config.framing(), Framing::LengthPrefixed { bytes: 4 });
        // High profile records go on; what they say there is in the parameter sets as well.
        assert!(AvcConfig::parse(&[RECORD, &[0xfd, 0xf8, 0xf8, 0]].concat()).is_ok());
    }

    #[test]
    fn records_cut_short_or_of_another_kind_are_refused() {
        for len in 0..RECORD.len() {
            assert_eq!(AvcConfig::parse(&RECORD[..len]), Err(AvcConfigError::Short), "{len} bytes");
        }
        let with = |at: usize, value: u8| {
            let mut record = RECORD.to_vec();
            record[at] = value;
            AvcConfig::parse(&record).unwrap_err()
        };
        assert_eq!(with(0, 0), AvcConfigError::Version(0));
        assert_eq!(with(4, 0xfe), AvcConfigError::Length);
    }

    proptest! {
        #[test]
        fn sets_lie_inside_the_record(record in prop::collection::vec(any::<u8>(), 0..80)) {
            let record = [&[1][..], &record].concat();
            if let Ok(config) = AvcConfig::parse(&record) {
                let total: usize = config.parameter_sets().iter().map(|set| set.len() + 2).sum();
                prop_assert!(total + 7 <= record.len());
            }
        }
    }
}

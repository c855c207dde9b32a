//! A cursor over bytes of a peer: takes what is there, and never more.

/// Why bytes are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Ends before its last field does.
    #[error("record ends {0} bytes early")]
    Short(usize),
    /// Goes on after its last field.
    #[error("record has {0} bytes after its end")]
    Long(usize),
    /// A version this program does not know.
    #[error("record has version {0}, this program knows 1")]
    Version(u8),
    /// Another kind of record than expected.
    #[error("record is of type {given}, {wanted} expected")]
    Type {
        /// Type found.
        given: u8,
        /// Type expected.
        wanted: u8,
    },
    /// A field out of its range.
    #[error("{field} is {value}, out of range")]
    Field {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A track name that is empty, too long, not ASCII, or there twice.
    #[error("bad track name")]
    TrackName,
    /// Text that is too long or too short, not UTF-8, or has control characters in it.
    #[error("{0} is not one line of text of a length that is allowed")]
    Text(&'static str),
    /// A public key that is none.
    #[error("{0} is not a valid key")]
    Key(&'static str),
}

/// Whether a person can be shown `text` on one line: no control characters (Unicode's category Cc).
pub(crate) fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// What is left to parse.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let Some((head, rest)) = self.0.split_at_checked(len) else {
            return Err(RecordError::Short(len.saturating_sub(self.0.len())));
        };
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let Some((head, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(RecordError::Short(N.saturating_sub(self.0.len())));
        };
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RecordError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The two bytes each record starts with.
    pub(crate) fn head(&mut self, wanted: u8) -> Result<(), RecordError> {
        match self.u8()? {
            1 => {}
            other => return Err(RecordError::Version(other)),
        }
        match self.u8()? {
            given if given == wanted => Ok(()),
            given => Err(RecordError::Type { given, wanted }),
        }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn end(self) -> Result<(), RecordError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordError::Long(self.0.len())) }
    }
}

//! What was granted: its epochs are known by number, so that nothing has to be looked for by time.

use super::span::{Kept, is_absent};
use super::{Archive, ArchiveError, Piece, Recording, SessionKeys};
use doorframe_transport::grant::{EpochSpan, GrantPart, Rounded, round};
use doorframe_transport::keys::Epoch;
use doorframe_transport::recorded::EpochFile;
use std::sync::Arc;

impl Archive {
    /// Fetches the epochs of `parts` that hold anything of the time from `from_us` up to but not including `to_us`, by the camera's wall clock;
    /// 0 and [`u64::MAX`] for all of them. No key of the archive is used.
    ///
    /// # Errors
    /// [`ArchiveError::NotGranted`] if none of them is of that time, [`ArchiveError::Nothing`] if nothing of them is kept, or what stands in the
    /// way of reading.
    pub async fn find_granted(
        &mut self,
        parts: Vec<GrantPart>,
        from_us: u64,
        to_us: u64,
    ) -> Result<Recording, ArchiveError> {
        let (mut found, mut kept) = (Vec::new(), Kept::default());
        let mut whole: Option<(u64, u64)> = None;
        for part in parts {
            let span = part.epochs();
            let session = Arc::new(SessionKeys::Granted(Box::new(part)));
            let (facts, id) = (session.facts(), session.facts().id);
            let (mut openings, mut epochs) = (Vec::new(), Vec::new());
            for epoch in self.source.within(facts, span).await? {
                let file = match self.epoch(id, epoch).await {
                    Ok(file) => file,
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(error),
                };
                epochs.push(epoch);
                // What does not hold is named when it is read; here it only has no time.
                let parsed = EpochFile::parse(&file).ok();
                let opening = parsed.and_then(|parsed| facts.opening(&parsed.opening).ok());
                openings.extend(opening.filter(|opening| opening.epoch == epoch));
                kept.put(id, epoch, file);
            }
            for rounded in round(&openings, facts.epoch_length, 0, u64::MAX) {
                let (from, to) = whole.unwrap_or((u64::MAX, 0));
                whole = Some((from.min(rounded.from_wall_us), to.max(rounded.to_wall_us)));
            }
            let mut spans = round(&openings, facts.epoch_length, from_us, to_us);
            if (from_us, to_us) == (0, u64::MAX) {
                to_its_ends(&mut spans, span);
            }
            found.extend(spans.into_iter().map(|rounded| {
                let epochs = epochs.iter().copied().filter(|epoch| rounded.epochs.contains(*epoch)).collect();
                Piece { session: session.clone(), rounded, epochs }
            }));
        }
        match (found.is_empty(), whole) {
            (true, Some((from_us, to_us))) => Err(ArchiveError::NotGranted { from_us, to_us }),
            (true, None) => Err(ArchiveError::Nothing),
            (false, _) => Ok(Recording::new(found, kept)),
        }
    }
}

/// So that what is missing at the ends of a grant is said too.
fn to_its_ends(spans: &mut [Rounded], granted: EpochSpan) {
    let end = |span: EpochSpan| span.end().0;
    if let Some(first) = spans.iter_mut().min_by_key(|span| span.epochs.first().0) {
        first.epochs = EpochSpan::new(granted.first(), first.epochs.end()).unwrap_or(first.epochs);
    }
    if let Some(last) = spans.iter_mut().max_by_key(|span| end(span.epochs)) {
        last.epochs = EpochSpan::new(last.epochs.first(), Epoch(end(granted))).unwrap_or(last.epochs);
    }
}

//! Manifests of the sessions that are recorded: an epoch is worth nothing without its session's, so that none is stored or confirmed before
//! that is in the store, and none of them goes while anything of its session is still to come.

use bytes::Bytes;
use doorframe_transport::keys::SessionId;
use doorframe_transport::manifest::{SessionFacts, SessionManifest};
use doorframe_transport::recorded::{EpochFile, verify};
use doorframe_transport::store::{Shelf, Store, StoreError};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One session's manifest, with whoever brings epochs of it and with each of these while it waits.
pub(super) struct Manifest {
    pub(super) shelf: Shelf,
    pub(super) facts: SessionFacts,
    record: Bytes,
    /// Whether its session's own key signed all of it: of a damaged one nothing is confirmed.
    is_signed: bool,
    /// Whether the store has it. Locked while it is put, so that epochs side by side put it once.
    stored: tokio::sync::Mutex<bool>,
}

impl Manifest {
    fn new(shelf: &Shelf, record: Bytes) -> Option<Self> {
        let manifest = SessionManifest::parse(&record).ok()?;
        let (facts, is_signed) = (manifest.facts().clone(), manifest.is_signed());
        Some(Self { shelf: shelf.clone(), facts, record, is_signed, stored: tokio::sync::Mutex::new(false) })
    }

    /// What an epoch is: whether all that its closing counts is in it, under signatures and chains that hold.
    pub(super) fn check(&self, file: &EpochFile) -> Checked {
        match verify(file, &self.facts) {
            Ok(verdict) if self.is_signed && verdict.is_complete() => Checked::Whole,
            Ok(_) if self.is_signed => Checked::Part,
            _ => Checked::Unverified,
        }
    }

    /// Puts it into the store, once for all that hold it.
    pub(super) async fn store(&self, store: &Store) -> Result<(), StoreError> {
        let mut stored = self.stored.lock().await;
        if !*stored {
            store.put_session(&self.shelf, self.facts.id, self.record.clone()).await?;
            *stored = true;
        }
        Ok(())
    }
}

/// What is made of an epoch without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// All of it, as its camera signed it.
    Whole,
    /// As its camera signed it, but something is missing.
    Part,
    /// Something in it is not what its camera signed.
    Unverified,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({}/{})", self.shelf, self.facts.id)
    }
}

/// Those that anybody holds.
#[derive(Debug, Default)]
pub(super) struct Manifests(Mutex<HashMap<(Shelf, SessionId), Holders>>);

/// Manifests of one session: one, unless somebody lies.
type Holders = Vec<Weak<Manifest>>;

impl Manifests {
    /// Holds a manifest: its session is not over before the last who holds it lets it go. `None` if it is none.
    pub(super) fn hold(&self, shelf: &Shelf, record: Bytes) -> Option<Arc<Manifest>> {
        let manifest = Arc::new(Manifest::new(shelf, record)?);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, of| {
            of.retain(|manifest| manifest.strong_count() > 0);
            !of.is_empty()
        });
        let of = held.entry((shelf.clone(), manifest.facts.id)).or_default();
        // A line that was lost brings a session again.
        if let Some(same) = of.iter().filter_map(Weak::upgrade).find(|held| held.record == manifest.record) {
            return Some(same);
        }
        of.push(Arc::downgrade(&manifest));
        Some(manifest)
    }

    /// Whether anybody does.
    pub(super) fn is_held(&self, shelf: &Shelf, session: SessionId) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&(shelf.clone(), session)).is_some_and(|of| of.iter().any(|manifest| manifest.strong_count() > 0))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use doorframe_codec::units::Uptime;
    use doorframe_transport::Session;
    use doorframe_transport::identity::{DeviceKey, SigningKey};
    use doorframe_transport::seed::Seed;
    use doorframe_transport::session::Config;

    fn record(seed: u8) -> Bytes {
        let config = Config::new(vec![DeviceKey::from_seed([22; 32]).unwrap().public().clone()]);
        let identity = SigningKey::from_seed(&[21; 32]).unwrap();
        let seed = Seed::from_os_random([seed; 32]);
        Session::start(config, &identity, seed, Uptime::default(), 0).unwrap().1
    }

    pub(in crate::recorder) fn manifest(seed: u8) -> Manifest {
        Manifest::new(&Shelf::new("door").unwrap(), record(seed)).unwrap()
    }

    #[test]
    fn a_manifest_is_held_until_the_last_who_needs_it_lets_it_go() {
        let (manifests, shelf) = (Manifests::default(), Shelf::new("door").unwrap());
        let live = manifests.hold(&shelf, record(1)).unwrap();
        let (id, spool) = (live.facts.id, manifests.hold(&shelf, record(1)).unwrap());
        assert!(Arc::ptr_eq(&live, &spool));
        drop(live);
        assert!(manifests.is_held(&shelf, id) && !manifests.is_held(&Shelf::new("yard").unwrap(), id));
        drop(spool);
        assert!(!manifests.is_held(&shelf, id));
        manifests.hold(&shelf, record(2));
        assert_eq!(manifests.0.lock().unwrap().len(), 1, "what nobody holds takes no memory");
        assert!(manifests.hold(&shelf, Bytes::from_static(b"no manifest")).is_none());
    }
}

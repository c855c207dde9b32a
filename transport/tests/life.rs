//! A camera's sessions over hours in which its wall clock does as it likes, by a virtual clock.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_codec::units::Uptime;
use doorframe_transport::grant::{EpochSpan, GrantPart, round};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::{Commitment, Epoch};
use doorframe_transport::manifest::{Opening, SessionManifest, SessionOpened, SessionRefused};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, LONGEST, Session, SessionError};
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;
/// 2026-10-25T00:30:00Z.
const WALL: u64 = 1_792_888_200 * SECOND;
const BOOT: Uptime = Uptime::from_micros(5_000_000);

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32]).unwrap()
}

fn identity() -> SigningKey {
    SigningKey::from_seed(&[1; 32]).unwrap()
}

/// A camera whose wall clock is `off` µs from the true time.
struct Camera {
    session: Session,
    opened: SessionOpened,
    started: Uptime,
    off: i64,
    openings: Vec<Opening>,
}

impl Camera {
    fn start(draw: u8, at: Duration) -> Self {
        let config = Config::new(vec![device(2).public().clone()]);
        let now = BOOT + at;
        let seed = Seed::from_os_random([draw; 32]);
        let (session, manifest) = Session::start(config, &identity(), seed, now, wall(at, 0)).unwrap();
        let manifest = SessionManifest::parse(&manifest).unwrap();
        let opened = manifest.open(&device(2), &identity().verifying_key()).unwrap();
        Self { session, opened, started: now, off: 0, openings: Vec::new() }
    }

    /// Films from the `first` to before the `end`-th second since power came.
    fn film(&mut self, first: u64, end: u64) {
        for second in (first..end).step_by(2) {
            let at = Duration::from_secs(second);
            let epoch = self.session.epoch_at(BOOT + at).unwrap();
            let record = self.session.begin(epoch, BOOT + at, wall(at, self.off), vec![]).unwrap();
            self.session.end().unwrap();
            self.openings.push(self.opened.facts.opening(&record).unwrap());
        }
    }

    fn commitments(&self) -> impl Iterator<Item = Commitment> {
        self.openings.iter().flat_map(|opening| &opening.tracks).map(|track| track.commitment)
    }

    /// Epochs that hold a time of the camera's wall clock.
    fn spans(&self, from: u64, to: u64) -> Vec<(u32, u32)> {
        let spans = round(&self.openings, EPOCH, from, to);
        spans.iter().map(|span| (span.epochs.first().0, span.epochs.end().0)).collect()
    }
}

fn wall(at: Duration, off: i64) -> u64 {
    (WALL + at.as_micros() as u64).checked_add_signed(off).unwrap()
}

fn rises(openings: &[Opening]) -> bool {
    openings.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[0].at < pair[1].at)
}

fn different(commitments: impl Iterator<Item = Commitment>) -> usize {
    commitments.map(|commitment| commitment.0).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_clock_that_is_set_back_uses_no_key_again_and_the_hour_is_found_twice() {
    let mut camera = Camera::start(3, Duration::ZERO);
    camera.film(0, 1800);
    camera.off = -(HOUR as i64);
    camera.film(1800, 5400);
    assert!(rises(&camera.openings));
    assert_eq!(different(camera.commitments()), camera.openings.len());
    // Ten to half past: once before the clock was set, once after.
    let at = |second: u64| WALL + second * SECOND;
    assert_eq!(camera.spans(at(600), at(660)), [(300, 330), (2100, 2130)]);
    // Nothing was lost where it was set.
    let all: u32 = camera.spans(0, u64::MAX).iter().map(|(first, end)| end - first).sum();
    assert_eq!(all, 2700);
}

#[test]
fn a_clock_that_is_set_forward_skips_no_epoch_and_the_time_between_is_empty() {
    let mut camera = Camera::start(3, Duration::ZERO);
    camera.film(0, 600);
    camera.off = 24 * HOUR as i64;
    camera.film(600, 1200);
    assert!(rises(&camera.openings));
    assert!(camera.openings.iter().map(|opening| opening.epoch.0).eq(0..600));
    assert_eq!(different(camera.commitments()), 600);
    assert_eq!(camera.spans(WALL + HOUR, WALL + 23 * HOUR), []);
    assert_eq!(camera.spans(WALL, WALL + 10 * SECOND), [(0, 5)]);
    let day_later = WALL + 24 * HOUR + 700 * SECOND;
    assert_eq!(camera.spans(day_later, day_later + 10 * SECOND), [(350, 355)]);
}

#[test]
fn a_session_never_comes_again_and_ends_in_time() {
    let mut first = Camera::start(3, Duration::ZERO);
    first.film(0, 60);
    // Power fails; the clock, which has no battery, is where it was at the first start.
    let mut second = Camera::start(4, Duration::ZERO);
    second.film(0, 60);
    assert_ne!(first.session.id(), second.session.id());
    assert_ne!(first.opened.facts.signer, second.opened.facts.signer);
    assert_eq!(different(first.commitments().chain(second.commitments())), 60);
    // After six hours there is no epoch any more, whatever the wall clock says.
    assert_eq!(second.session.epoch_at(second.started + LONGEST), None);
    assert!(second.session.epoch_at(second.started + (LONGEST - Duration::from_micros(1))).is_some());
}

#[test]
fn an_epoch_that_was_passed_over_can_never_be_begun() {
    let mut camera = Camera::start(3, Duration::ZERO);
    let mut begun = BTreeSet::new();
    let mut at = 0_u32;
    // Steps of one to eight.
    for step in (0..400_u32).map(|n| 1 + n * n % 9) {
        at += step;
        camera.session.begin(Epoch(at), BOOT, 0, vec![]).unwrap();
        begun.insert(at);
        let gone = (0..=at).filter(|epoch| epoch % 37 == 0 || at - epoch < 10);
        for epoch in gone {
            let again = camera.session.begin(Epoch(epoch), BOOT, u64::MAX, vec![]);
            assert!(matches!(again, Err(SessionError::Gone(_))), "epoch {epoch} after {at}");
        }
    }
    assert!(begun.len() == 400 && at > 1400);
}

#[test]
fn a_session_not_sealed_to_a_device_is_not_opened_by_it_nor_by_the_keys_of_the_one_before() {
    let start = |devices: &[u8], draw| {
        let config = Config::new(devices.iter().map(|seed| device(*seed).public().clone()).collect());
        let seed = Seed::from_os_random([draw; 32]);
        let (_, manifest) = Session::start(config, &identity(), seed, BOOT, WALL).unwrap();
        SessionManifest::parse(&manifest).unwrap()
    };
    let camera = identity().verifying_key();
    let (before, after) = (start(&[2, 9], 3), start(&[2], 4));
    let old = before.open(&device(9), &camera).unwrap();
    assert_eq!(after.clone().open(&device(9), &camera).unwrap_err(), SessionRefused::NotForUs);
    let new = after.open(&device(2), &camera).unwrap();
    // What the one who left has, all of it, makes no key of the new session.
    let keys = |session: &SessionOpened| {
        let part = GrantPart::cover(session, EpochSpan::new(Epoch(0), Epoch(1 << 12)).unwrap()).unwrap();
        let track = doorframe_transport::track::TrackName::VIDEO;
        (0..1 << 12)
            .map(|n| {
                let leaf = part.leaf(Epoch(n)).unwrap();
                doorframe_transport::keys::EpochKeys::derive(&leaf, new.facts.id, track).commitment.0
            })
            .collect::<BTreeSet<_>>()
    };
    let (old, new) = (keys(&old), keys(&new));
    assert_eq!((old.len(), new.len(), old.intersection(&new).count()), (1 << 12, 1 << 12, 0));
}

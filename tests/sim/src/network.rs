//! What lies between hosts: which can reach which, and what happens to messages on the way.
//!
//! Owns cuts and weather, not the messages. A cut is directed, so that all shapes of partition are sets of cuts: two
//! halves, one host alone, one deaf or mute, two that can't see each other while a third sees both.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::draw::Draw;

/// A host's number in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) usize);

/// Some hosts of a world of at most 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HostSet(u64);

impl HostSet {
    /// The first `count` hosts.
    #[must_use]
    pub(crate) fn first(count: usize) -> Self {
        Self(if count >= 64 { u64::MAX } else { (1 << count) - 1 })
    }

    /// Adds a host.
    #[must_use]
    pub(crate) fn with(self, host: HostId) -> Self {
        Self(self.0 | 1 << host.0)
    }

    /// Those of this set that are not in the other.
    #[must_use]
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the host is in it.
    #[must_use]
    pub(crate) fn holds(self, host: HostId) -> bool {
        self.0 >> host.0 & 1 == 1
    }
}

impl FromIterator<HostId> for HostSet {
    fn from_iter<I: IntoIterator<Item = HostId>>(hosts: I) -> Self {
        hosts.into_iter().fold(Self::default(), Self::with)
    }
}

/// Nothing passes from the one set to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Senders.
    pub(crate) from: HostSet,
    /// Receivers.
    pub(crate) to: HostSet,
}

/// What happens to messages that are not cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Lost, in thousandths.
    pub(crate) loss: u32,
    /// Sent twice, in thousandths.
    pub(crate) repeats: u32,
    /// The longest delay in microseconds; each message draws its own, which is what reorders them.
    pub(crate) delay_max: u64,
}

impl Weather {
    /// A quiet local network.
    pub(crate) const CALM: Self = Self { loss: 0, repeats: 0, delay_max: 500 };

    /// Weather for a while of faults: mostly bearable, at times a storm.
    #[must_use]
    pub(crate) fn rough(draw: &mut Draw) -> Self {
        let storm = draw.happens(150);
        let (loss, delay) = if storm { (400, 400_000) } else { (80, 30_000) };
        let loss = u32::try_from(draw.number(0..loss)).unwrap_or(0);
        let repeats = u32::try_from(draw.number(0..100)).unwrap_or(0);
        Self { loss, repeats, delay_max: draw.number(500..delay) }
    }
}

/// The network of a world.
#[derive(Debug)]
pub(crate) struct Network {
    cuts: BTreeMap<u64, Cut>,
    cuts_made: u64,
    weather: Weather,
    pairs: BTreeMap<(HostId, HostId), Weather>,
}

impl Network {
    /// A network without faults.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { cuts: BTreeMap::new(), cuts_made: 0, weather: Weather::CALM, pairs: BTreeMap::new() }
    }

    /// Whether messages pass from the one host to the other.
    #[must_use]
    pub(crate) fn passes(&self, from: HostId, to: HostId) -> bool {
        from == to || !self.cuts.values().any(|cut| cut.from.holds(from) && cut.to.holds(to))
    }

    /// Whether a connection between the two can live.
    #[must_use]
    pub(crate) fn connects(&self, one: HostId, other: HostId) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    /// Makes a partition of these cuts; its name, to heal it.
    pub(crate) fn cut(&mut self, cut: Cut) -> u64 {
        self.cuts_made += 1;
        self.cuts.insert(self.cuts_made, cut);
        self.cuts_made
    }

    /// Takes a cut away.
    pub(crate) fn heal(&mut self, name: u64) {
        self.cuts.remove(&name);
    }

    /// Sets the weather everywhere, except between pairs that have their own.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Gives a pair weather of its own, in this direction.
    pub(crate) fn set_pair(&mut self, from: HostId, to: HostId, weather: Weather) {
        self.pairs.insert((from, to), weather);
    }

    /// Takes all faults away.
    pub(crate) fn calm(&mut self) {
        self.cuts.clear();
        self.pairs.clear();
        self.weather = Weather::CALM;
    }

    /// When the copies of a message arrive: none, one or two of them.
    pub(crate) fn carry(&self, draw: &mut Draw, from: HostId, to: HostId) -> Vec<Duration> {
        let weather = self.weather_of(from, to);
        if !self.passes(from, to) || draw.happens(weather.loss) {
            return Vec::new();
        }
        let copies = if draw.happens(weather.repeats) { 2 } else { 1 };
        (0..copies).map(|_| self.delay(draw, from, to)).collect()
    }

    /// How long something takes on its way.
    pub(crate) fn delay(&self, draw: &mut Draw, from: HostId, to: HostId) -> Duration {
        if from == to {
            return Duration::from_micros(20);
        }
        draw.micros(50..self.weather_of(from, to).delay_max.max(51))
    }

    fn weather_of(&self, from: HostId, to: HostId) -> Weather {
        if self.pairs.is_empty() {
            return self.weather;
        }
        self.pairs.get(&(from, to)).copied().unwrap_or(self.weather)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_directed_and_heal() {
        let mut network = Network::new();
        let (one, other) = (HostId(3), HostId(49));
        let name = network.cut(Cut { from: HostSet::default().with(one), to: HostSet::first(50) });
        assert!(!network.passes(one, other) && network.passes(other, one) && network.passes(one, one));
        assert!(!network.connects(other, one));
        assert!(network.carry(&mut Draw::new(1), one, other).is_empty());
        network.heal(name);
        assert!(network.connects(one, other));
        assert_eq!(network.carry(&mut Draw::new(1), one, other).len(), 1);
    }
}

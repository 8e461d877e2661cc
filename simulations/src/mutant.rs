//! Guards that are taken away from the core, to see whether a run notices.

use std::str::FromStr;

use tidings_node::Config;

/// A guard that is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// The core as it is.
    #[default]
    None,
    /// Without the silence watchdog.
    NoWatchdog,
    /// Without the filter for stale "you are down" notices.
    NoTurnUndeadFilter,
    /// With accusations by nodes that have reason to doubt themselves.
    NoAbstaining,
    /// Every periodic timer runs exactly.
    NoJitter,
    /// With tombstones and overrides that hold nothing down.
    NoTombstones,
    /// With tombstones and overrides that a restart does not find again.
    ForgetsTombstones,
    /// With stamps that are the wall clock.
    StampsByWall,
    /// With snapshots that delete what they lack.
    DeletesByAbsence,
    /// With a start that gives out the dots of the last run again.
    ReusesDots,
}

impl Mutant {
    /// Every guard that can be taken away.
    pub const ALL: [Self; 9] = [
        Self::NoWatchdog,
        Self::NoTurnUndeadFilter,
        Self::NoAbstaining,
        Self::NoJitter,
        Self::NoTombstones,
        Self::ForgetsTombstones,
        Self::StampsByWall,
        Self::DeletesByAbsence,
        Self::ReusesDots,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoWatchdog => "no-watchdog",
            Self::NoTurnUndeadFilter => "no-turn-undead-filter",
            Self::NoAbstaining => "no-abstaining",
            Self::NoJitter => "no-jitter",
            Self::NoTombstones => "no-tombstones",
            Self::ForgetsTombstones => "forgets-tombstones",
            Self::StampsByWall => "stamps-by-wall",
            Self::DeletesByAbsence => "deletes-by-absence",
            Self::ReusesDots => "reuses-dots",
        }
    }

    /// Takes the guard away in one node's settings.
    #[cfg(feature = "mutants")]
    pub(crate) const fn apply(self, config: &mut Config) {
        match self {
            Self::None => {}
            Self::NoWatchdog => config.membership.mutants.no_watchdog = true,
            Self::NoTurnUndeadFilter => config.membership.mutants.no_turn_undead_filter = true,
            Self::NoAbstaining => config.membership.mutants.no_abstaining = true,
            Self::NoJitter => config.membership.jitter_percent = 0,
            Self::NoTombstones => config.mutants.no_tombstones = true,
            Self::ForgetsTombstones => config.mutants.forgets_tombstones = true,
            Self::StampsByWall => config.mutants.stamps_by_wall = true,
            Self::DeletesByAbsence => config.mutants.deletes_by_absence = true,
            Self::ReusesDots => config.reuses_dots = true,
        }
    }

    /// Nothing can be taken away in this build.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn apply(self, _: &mut Config) {
        assert!(self == Self::None, "mutants need the feature `mutants`");
    }
}

impl FromStr for Mutant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().chain([Self::None]);
        let found = known.into_iter().find(|mutant| mutant.name() == text);
        let names = Self::ALL.map(Self::name).join(", ");
        let mutant =
            found.ok_or_else(|| format!("there is no mutant {text:?}; there are {names}"))?;
        if mutant != Self::None && !cfg!(feature = "mutants") {
            return Err("this build has no mutants: build with `--features mutants`".to_owned());
        }
        Ok(mutant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_found_by_its_name() {
        assert_eq!("none".parse(), Ok(Mutant::None));
        assert!("no-gravity".parse::<Mutant>().is_err());
        #[cfg(feature = "mutants")]
        for mutant in Mutant::ALL {
            assert_eq!(mutant.name().parse(), Ok(mutant));
        }
    }
}

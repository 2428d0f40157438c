//! What is done to the cluster while clients use it: one disturbance at a time, then some rest.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::hosts::Network;
use crate::run::Dice;

/// The kinds of disturbances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// The leader reaches nobody, but clients reach it.
    IsolateLeader,
    /// The leader with one data node, the others with the other.
    Halves,
    /// The leader hears nobody; what it sends arrives.
    DeafLeader,
    /// Nobody hears the leader; it hears all.
    MuteLeader,
    /// The leader is cut off and comes back, again and again.
    Flapping,
    /// One data node does not reach the meta nodes.
    DataFromMeta,
    /// The process of the leader stands still.
    PauseLeader,
    /// The leader is killed and started again.
    KillLeader,
    /// All meta nodes are killed and started again.
    KillAll,
}

impl Disturbance {
    /// All of them.
    pub const ALL: [Disturbance; 9] = [
        Disturbance::IsolateLeader,
        Disturbance::Halves,
        Disturbance::DeafLeader,
        Disturbance::MuteLeader,
        Disturbance::Flapping,
        Disturbance::DataFromMeta,
        Disturbance::PauseLeader,
        Disturbance::KillLeader,
        Disturbance::KillAll,
    ];
}

/// How long a disturbance lasts, and how long the rest after it, milliseconds.
const LASTS_MS: (u64, u64) = (1_500, 5_000);
/// While the leader flaps: how long it is cut off, and how long it is not.
const FLAP: Duration = Duration::from_millis(900);

/// Carries out one disturbance and repairs it.
///
/// # Errors
/// When it could not be carried out, or did not take effect: then nothing is known.
pub fn disturb(network: &mut Network, kind: Disturbance, dice: &mut Dice) -> anyhow::Result<()> {
    let leader = testkit::until("a leader", Duration::from_secs(20), || Ok(network.leader().ok()))?;
    let lasts = Duration::from_millis(LASTS_MS.0 + dice.below(LASTS_MS.1 - LASTS_MS.0));
    let count = network.metas().len();
    let others: Vec<usize> = (0..network.hosts.len()).filter(|index| *index != leader).collect();
    match kind {
        Disturbance::IsolateLeader => cut_for(network, &[leader], &others, true, lasts),
        Disturbance::Halves => {
            let (with, without): (Vec<_>, Vec<_>) = others.iter().partition(|index| **index == count);
            cut_for(network, &[vec![leader], with].concat(), &without, true, lasts)
        }
        Disturbance::DeafLeader => cut_for(network, &[leader], &others, false, lasts),
        Disturbance::MuteLeader => cut_for(network, &others, &[leader], false, lasts),
        Disturbance::Flapping => {
            for _ in 0..3 {
                cut_for(network, &[leader], &others, true, FLAP)?;
                std::thread::sleep(FLAP);
            }
            Ok(())
        }
        Disturbance::DataFromMeta => {
            let data = count + usize::try_from(dice.below((network.hosts.len() - count) as u64))?;
            cut_for(network, &[data], &(0..count).collect::<Vec<_>>(), true, lasts)
        }
        Disturbance::PauseLeader => {
            ensure!(network.hosts[leader].signal("-STOP")?, "the process of the leader does not stand still");
            std::thread::sleep(lasts);
            ensure!(!network.hosts[leader].signal("-CONT")?, "the process of the leader does not go on");
            Ok(())
        }
        Disturbance::KillLeader => {
            network.hosts[leader].kill()?;
            std::thread::sleep(lasts);
            network.hosts[leader].start()
        }
        Disturbance::KillAll => {
            for meta in 0..count {
                network.hosts[meta].kill()?;
            }
            std::thread::sleep(lasts / 4);
            for meta in 0..count {
                network.hosts[meta].start()?;
            }
            Ok(())
        }
    }
}

/// Has each of `these` drop what comes from `those`, and with `both` what goes there.
fn cut_for(network: &Network, these: &[usize], those: &[usize], both: bool, lasts: Duration) -> anyhow::Result<()> {
    let addresses: Vec<String> = those.iter().map(|index| network.hosts[*index].ip.clone()).collect();
    for host in these.iter().map(|index| &network.hosts[*index]) {
        for other in &addresses {
            host.cut(other, both)?;
        }
    }
    std::thread::sleep(lasts);
    let mut dropped = 0;
    for index in these {
        dropped += network.hosts[*index].heal().context("heal")?;
    }
    ensure!(dropped > 0, "nothing was dropped: the cut had no effect");
    Ok(())
}

/// Rest between two disturbances.
pub fn rest(dice: &mut Dice) -> Duration {
    Duration::from_millis(LASTS_MS.0 + dice.below(LASTS_MS.1 - LASTS_MS.0))
}

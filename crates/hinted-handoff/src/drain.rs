//! Sending what waits: one task per node that has entries.
//!
//! A task keeps up to `Config::retry_concurrency` entries on their way. After a failure it waits, longer each time, and
//! then sends one at a time until one gets through. It ends when nothing waits for its node and is begun again when
//! something does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::TaskHandle;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::{NodeId, ShardId};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::limits::{Backoff, IN_FLIGHT_BYTES_MAX, RateLimit, width};
use crate::queue::{Block, Token};
use crate::{HandoffError, Queues};

/// How a node answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It did not, or could not take the entry now: try again later.
    Retry,
    /// It will never take this entry.
    Refused,
}

/// Brings an entry to a node. Each call ends in bounded time; its future may be dropped at any point.
pub trait Sender: Send + Sync + 'static {
    /// Sends the bytes of one entry. `Ok` when the node has made them durable.
    fn send(&self, node: NodeId, shard: ShardId, bytes: Bytes) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Something went wrong on this node's disk; it is tried again. For the log.
    fn problem(&self, _problem: HandoffError) {}
}

/// Sends what waits, as long as there is someone who may say stop and has not. `stop` turning `true`, or its sender
/// going away, ends it; entries on their way are then given back. Returns when all its tasks have ended.
pub async fn drain<S: Sender>(queues: Arc<Queues>, sender: Arc<S>, mut stop: watch::Receiver<bool>) {
    let env = queues.env().clone();
    let mut tasks: BTreeMap<NodeId, TaskHandle<()>> = BTreeMap::new();
    let mut tend_at = env.monotonic().saturating_add(queues.config().purge_interval);
    while !*stop.borrow() {
        tasks.retain(|_, task| !task.is_finished());
        for node in queues.nodes() {
            tasks
                .entry(node)
                .or_insert_with(|| env.spawn(drain_node(Arc::clone(&queues), Arc::clone(&sender), node, stop.clone())));
        }
        if env.monotonic() >= tend_at {
            let tended = Arc::clone(&queues);
            env.blocking(move || tended.tend()).await.into_iter().for_each(|problem| sender.problem(problem));
            tend_at = env.monotonic().saturating_add(queues.config().purge_interval);
        }
        // Both may be dropped while they wait: a notification that came is kept, and the value can be looked at.
        let pause = queues.config().retry_interval.min(tend_at.saturating_sub(env.monotonic()));
        tokio::select! {
            () = queues.appended.notified() => {}
            changed = stop.changed() => if changed.is_err() { break },
            () = sleep(pause) => {}
        }
    }
    for task in tasks.into_values() {
        task.await;
    }
    let closing = Arc::clone(&queues);
    env.blocking(move || closing.close()).await.into_iter().for_each(|problem| sender.problem(problem));
}

/// Sends what waits for one node until nothing does.
async fn drain_node<S: Sender>(queues: Arc<Queues>, sender: Arc<S>, node: NodeId, mut stop: watch::Receiver<bool>) {
    let config = queues.config();
    let env = queues.env().clone();
    let mut backoff = Backoff::new(config.retry_interval, config.retry_interval_max);
    let mut rate = RateLimit::new(config.retry_bytes_per_second);
    let mut on_the_way = FuturesUnordered::new();
    let mut tokens: Vec<Token> = Vec::new();
    let mut bytes_on_the_way = 0;
    // Those that were on their way together and fail together are one failure.
    let mut round = 0;
    // Nothing is sent before.
    let mut resume_at = Duration::ZERO;
    while !is_stopped(&stop) {
        while env.monotonic() >= resume_at
            && on_the_way.len() < width(backoff.failures(), config.retry_concurrency)
            && (on_the_way.is_empty() || bytes_on_the_way < IN_FLIGHT_BYTES_MAX)
        {
            let Some(block) = next_block(&queues, &*sender, node).await else {
                if on_the_way.is_empty() {
                    if !queues.has_entries(node) {
                        return;
                    }
                    // What waits has failed before and is not due yet.
                    resume_at = env.monotonic().saturating_add(config.retry_interval);
                }
                break;
            };
            bytes_on_the_way += block.bytes.len();
            tokens.push(block.token);
            let pause = rate.take(env.monotonic(), block.bytes.len() as u64);
            on_the_way.push(send(&*sender, block, pause, round));
        }
        let pause = resume_at.saturating_sub(env.monotonic());
        // Dropped while waiting, sleeping and being notified lose nothing; answers are lost by a stop only, and then
        // their entries are given back below.
        tokio::select! {
            Some(answered) = on_the_way.next() => {
                let Answered { token, bytes, round: sent_in, answer } = answered;
                tokens.retain(|it| *it != token);
                bytes_on_the_way -= bytes;
                note(&queues, &*sender, token, answer).await;
                match answer {
                    // A refusal is an answer, too.
                    Ok(()) | Err(SendError::Refused) => backoff.succeeded(),
                    Err(SendError::Retry) if sent_in == round => {
                        round += 1;
                        resume_at = env.monotonic().saturating_add(backoff.failed());
                    }
                    Err(SendError::Retry) => {}
                }
            }
            _ = stop.changed() => {}
            () = sleep(pause), if !pause.is_zero() => {}
            () = queues.until_back(node), if !pause.is_zero() => resume_at = Duration::ZERO,
        }
    }
    drop(on_the_way);
    let given_back = Arc::clone(&queues);
    env.blocking(move || tokens.into_iter().for_each(|token| given_back.give_back(token))).await;
}

/// What became of an entry on its way.
struct Answered {
    token: Token,
    bytes: usize,
    round: u64,
    answer: Result<(), SendError>,
}

async fn send<S: Sender>(sender: &S, block: Block, pause: Duration, round: u64) -> Answered {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let bytes = block.bytes.len();
    let answer = sender.send(block.token.node, block.token.shard, block.bytes).await;
    Answered { token: block.token, bytes, round, answer }
}

async fn next_block<S: Sender>(queues: &Arc<Queues>, sender: &S, node: NodeId) -> Option<Block> {
    let asked = Arc::clone(queues);
    let block = queues.env().blocking(move || asked.next_block_for(node)).await;
    block.unwrap_or_else(|problem| {
        sender.problem(problem);
        None
    })
}

async fn note<S: Sender>(queues: &Arc<Queues>, sender: &S, token: Token, answer: Result<(), SendError>) {
    let told = Arc::clone(queues);
    let noted = queues.env().blocking(move || match answer {
        Ok(()) => told.advance(token),
        Err(SendError::Refused) => told.skip(token),
        Err(SendError::Retry) => told.retry_later(token),
    });
    if let Err(problem) = noted.await {
        sender.problem(problem);
    }
}

fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

//! Tasks and pools.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::Env;

/// A task that runs by itself. Dropping the handle lets it run on; awaiting it gives its result, or `None` when it
/// panicked or was aborted.
#[derive(Debug)]
pub struct TaskHandle<T>(tokio::task::JoinHandle<T>);

impl<T> TaskHandle<T> {
    /// Stops the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl Env {
    /// Runs a future beside the others. Must be called on a runtime.
    pub fn spawn<F>(&self, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        TaskHandle(tokio::spawn(future))
    }

    /// Runs a closure that blocks or computes for long, off the async threads; inline under simulation, where the caller
    /// then waits as long as a slow simulated disk took. It runs to its end even when the caller goes away. A panic
    /// inside goes on in the caller.
    pub async fn blocking<T, F>(&self, work: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.is_simulated() {
            let value = work();
            let spent = self.fs().take_time_spent();
            if !spent.is_zero() {
                tokio::time::sleep(spent).await;
            }
            return value;
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(value) => value,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down and never started the work; nobody waits for an answer any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Runs a closure that makes many values, off the async threads, and gives them as they are made; it waits while
    /// `capacity` of them wait to be taken. The closure is told by `false` that nobody takes them any more. Inline under
    /// simulation, where all values are made at once. Must be called on a runtime.
    pub fn produce<T, F>(&self, capacity: usize, work: F) -> mpsc::Receiver<T>
    where
        F: FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'static,
        T: Send + 'static,
    {
        if self.is_simulated() {
            let mut made = Vec::new();
            work(&mut |value| {
                made.push(value);
                true
            });
            let (sender, receiver) = mpsc::channel(made.len().max(1));
            for value in made {
                // There is room for all of them, and the receiver is right here.
                let _ = sender.try_send(value);
            }
            return receiver;
        }
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        tokio::task::spawn_blocking(move || work(&mut |value| sender.blocking_send(value).is_ok()));
        receiver
    }
}

//! Real sockets: listening, the number of connections, and an orderly end.

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};

use super::fakes::until;
use super::*;

struct Running {
    server: Arc<Server>,
    fakes: Arc<Fakes>,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start(change: impl FnOnce(&mut Config)) -> Running {
    let (server, fakes) = server_with(change);
    let listener = Env::real().listen("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = Arc::clone(&server);
    let ended = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        serving.serve(listener, shutdown).await
    });
    Running { server, fakes, address, stop, ended }
}

async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn requests_under_way_end_before_the_server() {
    let running = start(|_| {}).await;
    let gate = Arc::new(Semaphore::new(0));
    *running.fakes.gate.lock() = Some(Arc::clone(&gate));
    let mut busy = TcpStream::connect(running.address).await.expect("connected");
    busy.write_all(b"POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nm v=1 1").await.expect("sent");
    let idle = TcpStream::connect(running.address).await.expect("connected");
    until_real(|| running.fakes.writes_begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;

    running.stop.send(()).expect("still listening");
    assert_eq!(read_all(idle).await, b"", "a connection without a request is closed");
    assert!(!running.ended.is_finished());
    gate.add_permits(1);
    let answer = Response::parse(&read_all(busy).await);
    assert_eq!((answer.status, answer.header("Connection")), (204, Some("close")));
    running.ended.await.expect("ended").expect("no error");
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn requests_that_do_not_end_are_cut_off() {
    let running = start(|config| config.drain_timeout = std::time::Duration::from_millis(50)).await;
    let mut stuck = TcpStream::connect(running.address).await.expect("connected");
    stuck.write_all(&request("GET /query?q=select+v+from+hang", &[], b"")).await.expect("sent");
    until_real(|| running.fakes.asked.lock().is_some()).await;
    running.stop.send(()).expect("still listening");
    running.ended.await.expect("ended").expect("no error");
    assert_eq!(read_all(stuck).await, b"");
    running.fakes.cancelled.notified().await;
}

#[tokio::test]
async fn connections_are_counted_and_limited() {
    let running = start(|config| config.connection_count_max = 2).await;
    let stats = running.server.stats();
    let first = TcpStream::connect(running.address).await.expect("connected");
    let _second = TcpStream::connect(running.address).await.expect("connected");
    until_real(|| stats.connections_active.get() == 2).await;
    let third = TcpStream::connect(running.address).await.expect("connected");
    assert_eq!(read_all(third).await, b"");
    assert_eq!(stats.connections_refused.get(), 1);
    drop(first);
    until_real(|| stats.connections_active.get() == 1).await;
    let mut fourth = TcpStream::connect(running.address).await.expect("connected");
    fourth.write_all(&request("GET /ping", &[], b"")).await.expect("sent");
    assert_eq!(Response::parse(&read_all(fourth).await).status, 204);
}

/// Until `condition` holds, while sockets do their part.
async fn until_real(condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        // Gives the sockets a turn; the loop waits for the condition, not for the time.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    until(condition).await;
}

#[tokio::test]
async fn a_bad_configuration_is_refused() {
    for (change, want) in [
        (("X y", "z"), "invalid header \"X y\" in [http.headers]"),
        (("X", "a\nb"), "invalid header \"X\" in [http.headers]"),
    ] {
        let mut config = config();
        config.headers.push((change.0.to_owned(), change.1.to_owned()));
        let fakes = Arc::new(Fakes::default());
        let error = Server::new(Env::real(), config, Fakes::services(&fakes)).expect_err("refused");
        assert_eq!(error.to_string(), want);
    }
}

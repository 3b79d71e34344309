//! A proxy between connector and server that cuts, delays and truncates.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy to a port of this machine. It forwards faithfully until it is told otherwise.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many bytes from the server are forwarded before connections are cut; 0 for all.
    budget: AtomicU64,
    /// How many milliseconds each piece from the server is held back.
    delay: AtomicU64,
    /// Whether pieces from the server are swallowed.
    silent: AtomicBool,
    /// Whether new connections are refused.
    closed: AtomicBool,
    connections: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        Self::at("127.0.0.1", target)
    }

    /// One that listens at another address of this machine.
    pub fn at(address: &str, target: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(client) = stream else { return };
                if shared.closed.load(SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                shared.connections.fetch_add(1, SeqCst);
                shared.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || forward(client, to_server, None));
                let shared = Arc::clone(&shared);
                thread::spawn(move || forward(server, to_client, Some(&shared)));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection, the next ones too, once this many more bytes have come from the server.
    pub fn cut_after(&self, bytes: u64) {
        self.state.budget.store(bytes, SeqCst);
    }

    /// Forwards everything again.
    pub fn heal(&self) {
        self.state.budget.store(0, SeqCst);
        self.state.silent.store(false, SeqCst);
        self.state.closed.store(false, SeqCst);
    }

    /// Cuts all connections now.
    pub fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Holds back what comes from the server.
    pub fn delay(&self, delay: Duration) {
        self.state.delay.store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }

    /// Swallows what comes from the server, and keeps the connections.
    pub fn silence(&self) {
        self.state.silent.store(true, SeqCst);
    }

    /// Refuses new connections.
    pub fn close(&self) {
        self.state.closed.store(true, SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(SeqCst)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, faults: Option<&State>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let mut piece = &buffer[..read];
        let mut cut = false;
        if let Some(faults) = faults {
            match faults.delay.load(SeqCst) {
                0 => {}
                millis => thread::sleep(Duration::from_millis(millis)),
            }
            if faults.silent.load(SeqCst) {
                continue;
            }
            let budget = faults.budget.load(SeqCst);
            if budget > 0 {
                let rest = budget.saturating_sub(read as u64).max(1);
                cut = budget <= read as u64;
                piece = &piece[..piece.len().min(usize::try_from(budget).unwrap())];
                faults.budget.store(rest, SeqCst);
            }
        }
        if to.write_all(piece).is_err() || cut {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

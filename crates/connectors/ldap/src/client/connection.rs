//! One connection: bytes and messages, and who asked for them.
//!
//! An operation has the connection to itself, and reads from it when its own consumer asks for more: what nobody takes stays
//! with the server. Answers to an operation that was given up are passed over.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tidelock_connector_api::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::ber::{self, tag};
use crate::config::{LdapConfig, Security, shown};
use crate::error::{closed, not_ldap, silent};
use crate::message::{Control, Message, Request, answer, oid};

/// The largest message that is read. A group with a million members is smaller.
const MAX_MESSAGE: usize = 256 << 20;

/// How much room there is at least for what comes next.
const READ_ROOM: usize = 64 << 10;

/// How many bytes of a message come in a second at least.
const SLOWEST: u64 = 16 << 10;

/// A connection to a server.
pub(crate) struct Connection {
    transport: Transport,
    received: BytesMut,
    next_id: i32,
    /// The server, for messages.
    server: Arc<str>,
    write_timeout: Duration,
    /// A message may have been sent in part: nothing can follow it.
    torn: bool,
    last_heard: Instant,
}

enum Transport {
    Clear(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Connection {
    /// Connects to a server, with encryption where that is configured. Nothing is said of who we are.
    pub(crate) async fn open(config: &LdapConfig, (host, port): (&str, u16), tls: Option<&TlsConnector>) -> Result<Self> {
        let server: Arc<str> = shown(host, port).into();
        let limit = config.connect_timeout;
        let connecting = timeout(limit, connect(host, port, config.keep_alive)).await;
        let stream = connecting
            .map_err(|_| silent(&server, limit))?
            .map_err(|error| Error::unreachable(format!("cannot connect to {server}")).with_source(error))?;
        // Requests are small, and somebody waits for each; where that cannot be said it is slower, no more.
        let _ = stream.set_nodelay(true);
        let mut connection = Self {
            transport: Transport::Clear(stream),
            received: BytesMut::new(),
            next_id: 1,
            server,
            write_timeout: config.write_timeout,
            torn: false,
            last_heard: Instant::now(),
        };
        if let Some(tls) = tls {
            if config.security == Security::StartTls {
                connection.start_tls(config.connect_timeout).await?;
            }
            connection = connection.encrypt(host, config.connect_timeout, tls).await?;
        }
        Ok(connection)
    }

    /// The server, for messages.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// When something came from the server last.
    pub(crate) const fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Sends a request and returns its number.
    pub(crate) async fn send(&mut self, request: &Request, controls: &[Control]) -> Result<i32> {
        if self.torn {
            return Err(closed(&self.server));
        }
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(1);
        let bytes = request.encode(id, controls);
        self.torn = true;
        let sending = async {
            match &mut self.transport {
                Transport::Clear(stream) => stream.write_all(&bytes).await,
                Transport::Tls(stream) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await
                }
            }
        };
        match timeout(self.write_timeout, sending).await {
            Ok(Ok(())) => self.torn = false,
            Ok(Err(error)) => return Err(closed(&self.server).with_source(error)),
            Err(_) => return Err(silent(&self.server, self.write_timeout)),
        }
        Ok(id)
    }

    /// The next message of an operation. Waits no longer than `patience`, and for a large message as much longer as it takes at a
    /// modest pace; for ever without one. A server that sends byte by byte does not hold us.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn receive(&mut self, id: i32, patience: Option<Duration>) -> Result<Message> {
        let begun = Instant::now();
        loop {
            if let Some(message) = self.take(id)? {
                return Ok(message);
            }
            let Some(patience) = patience else {
                self.read().await?;
                continue;
            };
            let pace = Duration::from_secs(u64::try_from(self.received.len()).unwrap_or(u64::MAX) / SLOWEST);
            let left = patience.saturating_add(pace).saturating_sub(begun.elapsed()).min(patience);
            timeout(left, self.read()).await.map_err(|_| silent(&self.server, patience))??;
        }
    }

    /// The next message of an operation, if it has been received already.
    pub(crate) fn take(&mut self, id: i32) -> Result<Option<Message>> {
        while let Some(message) = self.frame()? {
            if message.id == id {
                return Ok(Some(message));
            }
            if message.id == 0 {
                return Err(self.notice(&message));
            }
            // An answer to an operation that was given up.
        }
        Ok(None)
    }

    /// Sends a request and waits for the answer that ends it. Whatever comes before the answer is not wanted.
    pub(crate) async fn call(&mut self, request: &Request, controls: &[Control], patience: Duration) -> Result<Message> {
        let id = self.send(request, controls).await?;
        self.answer(id, request, patience).await
    }

    /// Waits for the answer that ends a request.
    pub(crate) async fn answer(&mut self, id: i32, request: &Request, patience: Duration) -> Result<Message> {
        let due = request.answered_by();
        let begun = Instant::now();
        loop {
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(silent(&self.server, patience));
            }
            let message = self.receive(id, Some(left)).await?;
            if Some(message.tag) == due {
                return Ok(message);
            }
            if !matches!(message.tag, answer::ENTRY | answer::REFERENCE | answer::INTERMEDIATE) {
                return Err(not_ldap(&self.server));
            }
        }
    }

    /// Tells the server that nobody is interested in an operation any longer.
    pub(crate) async fn abandon(&mut self, id: i32) -> Result<()> {
        self.send(&Request::Abandon(id), &[]).await.map(drop)
    }

    /// Takes leave.
    pub(crate) async fn close(mut self) {
        // The server notices the end of the connection in any case.
        let _ = self.send(&Request::Unbind, &[]).await;
    }

    /// Whether nothing speaks against using it, as far as can be seen without asking the server.
    pub(crate) async fn seems_alive(&mut self) -> bool {
        if self.torn {
            return false;
        }
        loop {
            match self.frame() {
                Ok(Some(message)) if message.id != 0 => {}
                Ok(Some(_)) | Err(_) => return false,
                Ok(None) => {}
            }
            let mut room = [0; 4096];
            let mut room = ReadBuf::new(&mut room);
            let polled = poll_fn(|context| {
                Poll::Ready(match &mut self.transport {
                    Transport::Clear(stream) => Pin::new(stream).poll_read(context, &mut room),
                    Transport::Tls(stream) => Pin::new(&mut **stream).poll_read(context, &mut room),
                })
            })
            .await;
            match polled {
                Poll::Pending => return true,
                Poll::Ready(Ok(())) if !room.filled().is_empty() => self.received.extend_from_slice(room.filled()),
                Poll::Ready(_) => return false,
            }
        }
    }

    /// The next message that has been received as a whole.
    fn frame(&mut self) -> Result<Option<Message>> {
        let Some((start, length)) = self.header()? else { return Ok(None) };
        if self.received.len() < start + length {
            return Ok(None);
        }
        let frame = self.received.split_to(start + length).freeze();
        Message::decode(&frame).map(Some).map_err(|_| not_ldap(&self.server))
    }

    /// The header of the next message, as soon as it is there, and found to be believable.
    fn header(&self) -> Result<Option<(usize, usize)>> {
        match self.received.first() {
            None => return Ok(None),
            Some(&tag::SEQUENCE) => {}
            Some(_) => return Err(not_ldap(&self.server)),
        }
        let header = ber::header(&self.received).map_err(|_| not_ldap(&self.server))?;
        match header {
            Some((_, length)) if length > MAX_MESSAGE => {
                let message = format!("{} sends a message of {length} bytes; at most {MAX_MESSAGE} are read", self.server);
                Err(Error::new(ErrorKind::Unexpected, message))
            }
            header => Ok(header),
        }
    }

    /// Waits for more bytes.
    async fn read(&mut self) -> Result<()> {
        // Room for what has come, not for what was announced: it grows with what is really sent.
        self.received.reserve(READ_ROOM);
        let received = &mut self.received;
        let read = match &mut self.transport {
            Transport::Clear(stream) => stream.read_buf(received).await,
            Transport::Tls(stream) => stream.read_buf(received).await,
        };
        match read {
            Ok(0) => Err(closed(&self.server)),
            Ok(_) => {
                self.last_heard = Instant::now();
                Ok(())
            }
            Err(error) => Err(closed(&self.server).with_source(error)),
        }
    }

    /// What an unsolicited message means: the server is about to close the connection.
    fn notice(&self, message: &Message) -> Error {
        match message.extended() {
            Ok((outcome, answer)) if answer.name.is_none_or(|name| name == oid::NOTICE_OF_DISCONNECTION.as_bytes()) => {
                Error::unreachable(format!("{} closes the connection: {}", self.server, outcome.describe()))
            }
            _ => not_ldap(&self.server),
        }
    }

    async fn start_tls(&mut self, patience: Duration) -> Result<()> {
        let request = Request::Extended { oid: oid::START_TLS, value: None };
        let answer = self.call(&request, &[], patience).await?;
        let (outcome, _) = answer.extended().map_err(|_| not_ldap(&self.server))?;
        if !outcome.is_success() {
            let message = format!("{} does not start TLS: {}", self.server, outcome.describe());
            return Err(Error::config(message));
        }
        // Whatever came in the clear must not be taken for something that came encrypted.
        if self.received.is_empty() { Ok(()) } else { Err(not_ldap(&self.server)) }
    }

    async fn encrypt(self, host: &str, limit: Duration, tls: &TlsConnector) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Error::config(format!("'{host}' is not a host's name")).with_source(error))?;
        let Transport::Clear(stream) = self.transport else { return Ok(self) };
        let shaken = timeout(limit, tls.connect(name, stream)).await.map_err(|_| silent(&self.server, limit))?;
        let stream = shaken.map_err(|error| {
            // A certificate that is not trusted stays so; a connection that broke may come back.
            let refused = error.get_ref().is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>());
            let kind = if refused { ErrorKind::Config } else { ErrorKind::Unreachable };
            Error::new(kind, format!("cannot agree on TLS with {}", self.server)).with_source(error)
        })?;
        Ok(Self { transport: Transport::Tls(Box::new(stream)), ..self })
    }
}

async fn connect(host: &str, port: u16, keep_alive: bool) -> io::Result<TcpStream> {
    if !keep_alive {
        return TcpStream::connect((host, port)).await;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_keepalive(true)?;
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

//! Bytes to and from a broker, in the clear or encrypted, in the shape in which lapin takes them.
//!
//! lapin's own TLS would bring a second reader of certificates and keys, with ciphers of its own; without it, lapin treats
//! `amqps` as `amqp`. So connections are made and encrypted here, and lapin is handed what comes of it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use futures::io::{AsyncRead, AsyncWrite};
use futures::{Stream as FuturesStream, TryFutureExt as _};
use tidelock_connector_api::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::AmqpConfig;

/// A connection, encrypted or not.
pub(super) enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Cuts a connection whoever holds it.
pub(super) struct Scissors(std::net::TcpStream);

impl Scissors {
    /// Cuts it. Whoever reads sees its end.
    pub(super) fn cut(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Connects, with encryption where there is a connector for it. Nothing is said of who we are.
pub(super) async fn open(config: &AmqpConfig, tls: Option<&TlsConnector>) -> Result<(Stream, Scissors)> {
    let server = config.server();
    let unreachable = |error: io::Error| Error::unreachable(format!("cannot connect to {server}")).with_source(error);
    let stream = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(unreachable)?;
    // Acknowledgements are small, and the broker waits for them; where that cannot be said it is slower, no more.
    let _ = stream.set_nodelay(true);
    let stream = stream.into_std().map_err(unreachable)?;
    let scissors = Scissors(stream.try_clone().map_err(unreachable)?);
    let stream = TcpStream::from_std(stream).map_err(unreachable)?;
    let Some(tls) = tls else { return Ok((Stream::Clear(stream), scissors)) };
    let name = ServerName::try_from(config.host.clone())
        .map_err(|error| Error::config(format!("'{}' is not a host's name", config.host)).with_source(error))?;
    let shaken = tls.connect(name, stream).await.map_err(|error| {
        // A certificate that is not trusted stays so; a connection that broke may come back.
        let refused = error.get_ref().is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>());
        let kind = if refused { ErrorKind::Config } else { ErrorKind::Unreachable };
        Error::new(kind, format!("cannot agree on TLS with {server}")).with_source(error)
    })?;
    Ok((Stream::Tls(Box::new(shaken)), scissors))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        ready!(match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(context, &mut room),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, &mut room),
        })?;
        Poll::Ready(Ok(room.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Tokio's reactor, whose connections are a [`Stream`].
#[derive(Clone, Debug)]
pub(super) struct Streams(pub(super) Tokio);

impl Reactor for Streams {
    type TcpStream = Stream;
    type Sleep = Sleep;

    /// Nobody asks for this: whoever brought a socket of his own would need no connection of ours.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Stream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl FuturesStream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(&self, address: SocketAddr) -> impl Future<Output = io::Result<Stream>> + Send + 'static {
        TcpStream::connect(address).map_ok(Stream::Clear)
    }
}

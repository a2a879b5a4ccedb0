//! One connection to a peer, from being made to being lost.
//!
//! A gRPC channel connects again by itself, and whoever answers then has proved nothing. So a channel is given one connection and
//! no second one: when it is lost the session is over, and a peer proves itself in the next.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::credentials::Credentials;
use super::failure::{Failure, Phase};
use super::reply::ReplyError;

/// HTTP/2 pings while requests are in flight: longer than a deadline, so that they cost nothing where answers come.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(2);

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) channel: Channel,
    pub(super) line: Arc<Line>,
    /// Whether it is pinged while nothing is asked.
    pub(super) pings_idle: bool,
}

/// Bytes sent and received, all of TLS and HTTP/2 included.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// What is known of a connection below HTTP/2.
pub(super) struct Line {
    traffic: Arc<Traffic>,
    over: AtomicBool,
    /// Called once, when the connection is gone.
    lost: Box<dyn Fn(&Self) + Send + Sync>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("over", &self.over).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) fn new(traffic: Arc<Traffic>, lost: impl Fn(&Self) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { traffic, over: AtomicBool::new(false), lost: Box::new(lost) })
    }

    /// Whether the connection is gone.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// `Connect` or `ConnectTimeout`.
    pub(super) async fn open(
        endpoint: &Endpoint,
        target: (String, u16),
        line: Arc<Line>,
        pings_idle: bool,
        within: Duration,
    ) -> Result<Self, Failure> {
        let endpoint = endpoint.clone().http2_keep_alive_interval(PING).keep_alive_timeout(PONG);
        let endpoint = endpoint.keep_alive_while_idle(pings_idle);
        let connector = Once { target, line: Some(Arc::clone(&line)) };
        match tokio::time::timeout(within, endpoint.connect_with_connector(connector)).await {
            Ok(Ok(channel)) => Ok(Self { channel, line, pings_idle }),
            Ok(Err(source)) => Err(Failure::Connect { source }),
            Err(_) => Err(Failure::ConnectTimeout { within }),
        }
    }

    /// Asks the peer to run a model: `message` is a `ModelInferRequest`, the answer a `ModelInferResponse` of no more than
    /// `most` bytes. Dropped, it is cancelled at the peer.
    ///
    /// # Errors
    /// `Timeout` at `deadline`, `Status` for everything that ends the call before, `Reply` for more than one answer.
    pub(super) async fn infer(
        &self,
        message: Bytes,
        credentials: &Credentials,
        most: usize,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        let within = deadline.saturating_duration_since(Instant::now());
        let mut request = Request::new(message);
        request.set_timeout(within);
        credentials.apply(request.metadata_mut());
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(most);
        let call = async {
            let before = |status| Failure::of(status, Phase::Before, within);
            let lost = |error: tonic::transport::Error| before(Status::from_error(error.into()));
            grpc.ready().await.map_err(lost)?;
            let path = PathAndQuery::from_static("/inference.GRPCInferenceService/ModelInfer");
            let mut answer =
                grpc.server_streaming(request, path, Verbatim).await.map_err(before)?.into_inner();
            let answering = |status| Failure::of(status, Phase::Answering, within);
            let message = answer.message().await.map_err(answering)?;
            if message.is_some() && answer.message().await.map_err(answering)?.is_some() {
                return Err(Failure::Reply { source: ReplyError::Several });
            }
            // The status comes last.
            answer.trailers().await.map_err(answering)?;
            Ok(message.unwrap_or_default())
        };
        timeout_at(deadline.into(), call).await.unwrap_or(Err(Failure::Timeout { within }))
    }
}

/// Makes one connection.
struct Once {
    target: (String, u16),
    line: Option<Arc<Line>>,
}

impl Service<Uri> for Once {
    type Response = TokioIo<Counted>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (target, line) = (self.target.clone(), self.line.take());
        Box::pin(async move {
            let over = || io::Error::new(io::ErrorKind::NotConnected, "the connection was lost");
            let line = line.ok_or_else(over)?;
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(Counted { stream, line }))
        })
    }
}

/// A connection that counts its bytes and tells when it is gone.
struct Counted {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::SeqCst);
        (self.line.lost)(&self.line);
    }
}

impl Counted {
    fn sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.line.traffic.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        let bytes = into.filled().len().saturating_sub(before);
        self.line.traffic.received.fetch_add(bytes as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Messages that are encoded already, and answers that are decoded later.
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(message.len());
        into.put(message);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

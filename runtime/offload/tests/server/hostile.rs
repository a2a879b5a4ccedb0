//! Clients that mean no good, and one that does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offramp_offload::oip::codec::PartedCodec;
use offramp_offload::oip::{ModelInferRequest, ModelInferResponse};
use offramp_offload::server::{Admission, Batching, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::scripted::{Running, floats, logits, loopback, request};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn admission(connections: usize, introduction: Duration) -> Config {
    let admission = Admission { connections, introduction, ..Admission::default() };
    Config { admission, ..loopback() }
}

/// New clients, one after the other, each with a few requests; the longest that one request took.
async fn good_clients(running: &Running, clients: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..clients {
        let began = Instant::now();
        let mut client = running.client().await;
        for image in 0..5 {
            let answer = client.model_infer(request(&[image])).await.unwrap();
            assert_eq!(floats(answer.get_ref(), 0), logits(image));
        }
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test]
async fn connections_that_bring_nothing_are_closed() {
    let (running, _runs) = Running::scripted(admission(8, Duration::from_millis(150)));
    let began = Instant::now();
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut greeting = TcpStream::connect(running.address).await.unwrap();
    greeting.write_all(PREFACE).await.unwrap();
    greeting.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    for stream in [&mut silent, &mut greeting] {
        // Whatever it says, it hangs up.
        let _reset = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!((150..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert_eq!(running.metric("offramp_connections_lost_total{reason=\"too_slow\"}").await, 2);
    let mut client = running.client().await;
    client.model_infer(request(&[1])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.model_infer(request(&[1])).await.unwrap();
    assert_eq!(running.metric("offramp_connections").await, 1, "who brought something stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_dribble_their_greeting_do_not_keep_others_out() {
    let (running, _runs) = Running::scripted(admission(32, Duration::from_secs(5)));
    let mut dribbling = JoinSet::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        dribbling.spawn(async move {
            for byte in PREFACE.iter().cycle().take(1000) {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let longest = good_clients(&running, 20).await;
    assert!(longest < Duration::from_secs(2), "a good client took {longest:?}");
    assert!(running.metric("offramp_connections_lost_total{reason=\"displaced\"}").await >= 168);
    dribbling.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_does_not_keep_others_out() {
    let (running, _runs) = Running::scripted(admission(64, Duration::from_secs(5)));
    let (over, mut flood) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..4 {
        let (address, over) = (running.address, Arc::clone(&over));
        flood.spawn(async move {
            let mut held = std::collections::VecDeque::new();
            let mut opened = 0_u32;
            while !over.load(Ordering::Relaxed) {
                if let Ok(stream) = TcpStream::connect(address).await {
                    held.push_back(stream);
                    opened += 1;
                }
                if held.len() > 100 {
                    held.pop_front();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            opened
        });
    }
    let longest = good_clients(&running, 30).await;
    over.store(true, Ordering::Relaxed);
    let opened: u32 = flood.join_all().await.into_iter().sum();
    assert!(opened > 64, "{opened} connections are no flood");
    assert!(longest < Duration::from_secs(2), "a good client took {longest:?}");
}

#[tokio::test]
async fn a_connection_has_a_number_of_requests_at_once() {
    let admission = Admission { streams: 2, ..Admission::default() };
    let batching = Batching { images: 1, ..Batching::default() };
    let (running, runs) = Running::scripted(Config { admission, batching, ..loopback() });
    let (client, mut asked) = (running.client().await, JoinSet::new());
    // With the first answer the client knows how many.
    client.clone().model_infer(request(&[9])).await.unwrap();
    runs.take();
    runs.hold();
    for image in 0..5 {
        let mut client = client.clone();
        asked.spawn(async move { client.model_infer(request(&[image])).await.unwrap() });
    }
    runs.begun().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.waiting(1).await;
    runs.release();
    assert_eq!(asked.join_all().await.len(), 5, "the rest waits with the client");
}

/// Sends the beginning of a request and never its end.
async fn send_half(channel: Channel) -> tonic::Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/inference.GRPCInferenceService/ModelInfer");
    let codec = PartedCodec::<ModelInferRequest, ModelInferResponse>::default();
    let endless = tokio_stream::pending::<ModelInferRequest>();
    client.client_streaming(Request::new(endless), path, codec).await.unwrap_err()
}

#[tokio::test]
async fn a_message_that_does_not_end_is_given_up() {
    let admission = Admission { message: Duration::from_millis(150), ..Admission::default() };
    let (running, _runs) = Running::scripted(Config { admission, ..loopback() });
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let began = Instant::now();
    let status = send_half(endpoint.connect().await.unwrap()).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(status.message(), "the message was not there within 150 ms");
    assert!((150..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

/// A connection that leaves so many bytes of room for each answer, none of which it reads.
async fn deaf(running: &Running, room: u32) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let channel = endpoint.initial_stream_window_size(room).connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel.clone());
    let path = PathAndQuery::from_static("/inference.GRPCInferenceService/ModelInfer");
    let codec = PartedCodec::<ModelInferRequest, ModelInferResponse>::default();
    client.ready().await.unwrap();
    let answer = client.server_streaming(Request::new(request(&[1])), path, codec).await.unwrap();
    // Kept open, and never asked for a message.
    std::mem::forget(answer);
    channel
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_hung_up_on_and_nobody_else() {
    let admission = Admission { message: Duration::from_millis(200), ..Admission::default() };
    let (running, _runs) = Running::scripted(Config { admission, ..loopback() });
    let mut good = running.client().await;
    let health = running.health().await;
    let mut watching = health.watch("").await;
    for (deaf_ones, room) in [(1, 0), (2, 1)] {
        let channel = deaf(&running, room).await;
        let lost = "offramp_connections_lost_total{reason=\"unread\"}";
        crate::scripted::until(async || running.metric(lost).await == deaf_ones).await;
        drop(channel);
    }
    crate::scripted::until(async || running.metric("offramp_connections").await == 2).await;
    assert_eq!(floats(good.model_infer(request(&[3])).await.unwrap().get_ref(), 0), logits(3));
    watching.message().await.unwrap().unwrap();
}

#[tokio::test]
async fn messages_beyond_the_limit_are_refused_compressed_or_not() {
    let admission = Admission { message_bytes: 100_000, ..Admission::default() };
    let (running, runs) = Running::scripted(Config { admission, ..loopback() });
    let mut large = request(&[1]);
    large.raw_input_contents = vec![vec![0; 50_000_000].into()];
    let status = running.client().await.model_infer(large.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let expected = "the message is too large: 50000123 bytes, at most 100000 are taken";
    assert_eq!(status.message().replace(char::is_numeric, ""), expected.replace(char::is_numeric, ""));
    // Zeros: 50 MB become less than 50 kB.
    let mut client = running.client().await.send_compressed(CompressionEncoding::Gzip);
    let status = client.model_infer(large).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("size limit"), "{status:?}");
    assert_eq!(runs.take(), [] as [usize; 0]);
}

#[tokio::test]
async fn all_messages_together_have_a_limit_while_they_come() {
    let admission = Admission { receiving_bytes: 100_000, ..Admission::default() };
    let (running, _runs) = Running::scripted(Config { admission, ..loopback() });
    let mut large = request(&[1]);
    large.raw_input_contents = vec![vec![0; 1_000_000].into()];
    let mut client = running.client().await;
    let status = client.model_infer(large).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(status.message(), "messages of more than 100000 bytes are on their way in already");
    for _ in 0..10 {
        client.model_infer(request(&[1])).await.unwrap();
    }
}

#[tokio::test]
async fn a_small_message_of_many_tensors_is_refused_before_it_is_taken_apart() {
    let (running, _runs) = Running::scripted(loopback());
    let many = ModelInferRequest { inputs: vec![Default::default(); 100_000], ..request(&[1]) };
    let status = running.client().await.model_infer(many).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "the message has more than 4096 parts");
}

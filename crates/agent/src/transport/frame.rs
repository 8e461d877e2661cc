//! Length-prefixed frames on a stream; a request's first frame follows the byte of its topic.

use quinn::{ReadError, RecvStream, SendStream, WriteError};
use tidings_types::limits::FRAME_BYTES;

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// The node: members, heads, feeds.
    Node = 0,
    /// The agent's cluster keys.
    Keyring = 1,
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The peer announced more than the limit.
    #[error("a frame of {0} bytes, over the limit of {FRAME_BYTES}")]
    TooLong(u32),
    /// The request is for nobody here.
    #[error("a request of the unknown topic {0}")]
    UnknownTopic(u8),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Cut,
    /// The stream or its connection failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Writes one frame. The caller has checked its length against [`FRAME_BYTES`].
pub(super) async fn write_frame(stream: &mut SendStream, frame: &[u8]) -> Result<(), WriteError> {
    let length =
        u32::try_from(frame.len()).expect("frames are checked against a limit below 4 GiB");
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(frame).await
}

/// Writes the one frame of a request, and whom it is for.
pub(super) async fn write_request(
    stream: &mut SendStream,
    topic: Topic,
    frame: &[u8],
) -> Result<(), WriteError> {
    stream.write_all(&[topic as u8]).await?;
    write_frame(stream, frame).await
}

/// Reads a request and whom it is for, or `None` if the stream has ended.
pub(super) async fn read_request(
    stream: &mut RecvStream,
) -> Result<Option<(Topic, Vec<u8>)>, FrameError> {
    let mut byte = [0; 1];
    if fill(stream, &mut byte).await? == 0 {
        return Ok(None);
    }
    let [byte] = byte;
    let topic = [Topic::Node, Topic::Keyring]
        .into_iter()
        .find(|&topic| topic as u8 == byte)
        .ok_or(FrameError::UnknownTopic(byte))?;
    let frame = read_frame(stream).await?;
    Ok(frame.map(|frame| (topic, frame)))
}

/// Reads one frame, or `None` if the stream has ended. The length is checked before any memory is
/// taken for it.
pub(super) async fn read_frame(stream: &mut RecvStream) -> Result<Option<Vec<u8>>, FrameError> {
    let mut prefix = [0; 4];
    match fill(stream, &mut prefix).await? {
        0 => return Ok(None),
        4 => {}
        _ => return Err(FrameError::Cut),
    }
    let length = u32::from_be_bytes(prefix);
    let bytes = usize::try_from(length)
        .ok()
        .filter(|&bytes| bytes <= FRAME_BYTES)
        .ok_or(FrameError::TooLong(length))?;
    let mut frame = vec![0; bytes];
    if fill(stream, &mut frame).await? < bytes {
        return Err(FrameError::Cut);
    }
    Ok(Some(frame))
}

/// Fills `buffer` as far as the stream goes; returns how far.
async fn fill(stream: &mut RecvStream, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            Some(read) => filled += read,
            None => break,
        }
    }
    Ok(filled)
}

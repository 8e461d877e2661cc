//! Answers cut to size.

use std::iter;

use hickory_proto::{
    ProtoError,
    op::{Edns, EmitAndCount, emit_message_parts},
    rr::{Name, Record},
    serialize::binary::{BinEncodable, BinEncoder},
};

use crate::{
    message::{self, Question},
    reply::Reply,
};

/// Bytes that every client can take over UDP.
const UDP_BYTES_MIN: u16 = 512;
/// Bytes of the shortest record: a pointer to its name, 10 bytes, an IPv4 address.
const RECORD_BYTES_MIN: u16 = 16;

/// How large an answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    bytes: u16,
    /// Whether the client is told if records are left out: it can ask where there is more room.
    flag_truncation: bool,
}

impl Room {
    /// Over UDP to a client that takes `bytes`.
    pub(crate) const fn udp(bytes: u16, flag_truncation: bool) -> Self {
        Self {
            bytes: if bytes < UDP_BYTES_MIN {
                UDP_BYTES_MIN
            } else {
                bytes
            },
            flag_truncation,
        }
    }

    pub(crate) const fn tcp() -> Self {
        Self {
            bytes: u16::MAX,
            flag_truncation: false,
        }
    }

    /// More records than this can never fit.
    pub(crate) fn records(self) -> usize {
        usize::from(self.bytes / RECORD_BYTES_MIN)
    }
}

/// Writes the answer, with as many records as fit, first ones first, each with what it needs in the
/// additional section. Returns it and whether records were left out; `None` if not even an empty answer can be written.
///
/// A remark that the answer is stale gives way if there would be no record left beside it.
pub(crate) fn write(question: &Question, reply: &Reply, room: Room) -> Option<(Vec<u8>, bool)> {
    let plain = question.edns.as_ref();
    let stale = reply.stale.as_ref().zip(plain);
    let stale = stale.map(|(text, edns)| message::stale(edns, text));
    let written = stale
        .and_then(|edns| write_with(question, reply, room, Some(&edns)))
        .filter(|written| written.answers > 0)
        .or_else(|| write_with(question, reply, room, plain))?;
    Some((written.bytes, written.left_out))
}

struct Written {
    bytes: Vec<u8>,
    answers: usize,
    left_out: bool,
}

fn write_with(
    question: &Question,
    reply: &Reply,
    room: Room,
    edns: Option<&Edns>,
) -> Option<Written> {
    let attempt = |part: Part<'_>| {
        let answers = part.answers.len();
        let left_out = reply.cut || answers < reply.answers.len();
        let truncated = left_out && room.flag_truncation;
        Some(Written {
            bytes: encode(question, reply, &part, room, edns, truncated)?,
            answers,
            left_out,
        })
    };
    attempt(Part::whole(reply)).or_else(|| {
        let fit = greatest(reply.answers.len(), |answers| {
            attempt(Part::first(reply, answers)).is_some()
        });
        // One record without its address is better than none.
        let bare = (fit == 0).then(|| attempt(Part::bare(reply))).flatten();
        bare.or_else(|| attempt(Part::first(reply, fit)))
    })
}

/// The greatest number up to `max` that `fits`, where 0 does and what exceeds a misfit does not.
fn greatest(max: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut fit, mut misfit) = (0, max + 1);
    while misfit - fit > 1 {
        let middle = fit + (misfit - fit) / 2;
        if fits(middle) {
            fit = middle;
        } else {
            misfit = middle;
        }
    }
    fit
}

/// The records that an answer holds.
struct Part<'a> {
    answers: &'a [Record],
    authorities: &'a [Record],
    additionals: &'a [Record],
}

impl<'a> Part<'a> {
    fn whole(reply: &'a Reply) -> Self {
        Self {
            answers: &reply.answers,
            authorities: &reply.authorities,
            additionals: &reply.additionals,
        }
    }

    /// The first answers with what they need. The authority section goes first: of an answer with
    /// records it is a courtesy.
    fn first(reply: &'a Reply, answers: usize) -> Self {
        let needed = answers.checked_sub(1).map_or(0, |last| reply.needs[last]);
        Self {
            answers: &reply.answers[..answers],
            authorities: &[],
            additionals: &reply.additionals[..needed],
        }
    }

    fn bare(reply: &'a Reply) -> Self {
        Self {
            answers: &reply.answers[..reply.answers.len().min(1)],
            authorities: &[],
            additionals: &[],
        }
    }
}

/// Writes the answer; `None` if it does not fit.
fn encode(
    question: &Question,
    reply: &Reply,
    part: &Part<'_>,
    room: Room,
    edns: Option<&Edns>,
    truncated: bool,
) -> Option<Vec<u8>> {
    let mut metadata = question.metadata;
    metadata.response_code = reply.code;
    metadata.authoritative = reply.authoritative;
    let mut bytes = Vec::with_capacity(usize::from(UDP_BYTES_MIN));
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(room.bytes);
    let section = |records| Section {
        records,
        asked: question.name(),
    };
    let header = emit_message_parts(
        &metadata,
        &mut iter::once(&question.query),
        &mut section(part.answers),
        &mut section(part.authorities),
        &mut section(part.additionals),
        edns,
        None,
        &mut encoder,
    )
    .ok()?;
    // The codec leaves out the OPT record if it does not fit, and says so in the header.
    if header.metadata.truncation {
        return None;
    }
    if truncated {
        bytes[2] |= TC;
    }
    Some(bytes)
}

/// Records that are written all or not at all.
struct Section<'a> {
    records: &'a [Record],
    asked: &'a Name,
}

impl EmitAndCount for Section<'_> {
    fn emit(&mut self, encoder: &mut BinEncoder<'_>) -> Result<usize, ProtoError> {
        for record in self.records {
            // Most records bear the name that was asked. The codec would search for it each time,
            // and stops compressing after some 100 names.
            if record.name.eq_case(self.asked) {
                encoder.emit_u16(QUESTION)?;
            } else {
                record.name.emit(encoder)?;
            }
            record.record_type().emit(encoder)?;
            record.dns_class.emit(encoder)?;
            encoder.emit_u32(record.ttl)?;
            let length = encoder.place::<u16>()?;
            record.data.emit(encoder)?;
            let bytes = u16::try_from(encoder.len_since_place(&length))
                .map_err(|_| ProtoError::Message("a record of more than 65,535 bytes"))?;
            encoder.emit_at(length, bytes)?;
        }
        Ok(self.records.len())
    }
}

/// A pointer to the name in the question, which stands right after the header.
const QUESTION: u16 = 0xc000 | 12;
/// The bit in the header's third byte that says "more over TCP".
const TC: u8 = 0x02;

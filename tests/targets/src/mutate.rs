//! Mutations that can be repeated, for machines without a fuzzer.

use std::{fs, path::Path};

/// Changes the specimens of a corpus by chance, which a seed tells.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    state: u64,
}

/// The specimens of the target `name`.
///
/// # Panics
/// If there are none.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let dir = dir.join(name);
    let listed = fs::read_dir(&dir).expect("each target has a corpus");
    let mut paths: Vec<_> = listed
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    let read = |path| fs::read(path).expect("a specimen can be read");
    paths.into_iter().map(read).collect()
}

impl Mutator {
    /// Mutations of these specimens.
    ///
    /// # Panics
    /// If there are none.
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!corpus.is_empty(), "there is something to mutate");
        Self {
            corpus,
            state: seed | 1,
        }
    }

    /// Some specimen with one to eight changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut data = self.specimen();
        for _ in 0..=self.below(8) {
            self.change(&mut data);
        }
        data.truncate(INPUT_BYTES);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>) {
        if data.is_empty() {
            data.push(self.byte());
            return;
        }
        let at = self.below(data.len());
        let len = 1 + self.below(16.min(data.len() - at));
        match self.below(9) {
            0 => data[at] ^= 1 << self.below(8),
            1 => data[at] = self.byte(),
            2 => data[at] = INTERESTING[self.below(INTERESTING.len())],
            3 => data.insert(at, self.byte()),
            4 => drop(data.drain(at..at + len)),
            5 => data.truncate(at),
            6 => {
                let copy = data[at..at + len].to_vec();
                let to = self.below(data.len());
                data.splice(to..to, copy);
            }
            7 => data[at] = data[at].wrapping_add(1),
            _ => {
                let other = self.specimen();
                let from = self.below(other.len().max(1)).min(other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
        }
    }

    fn specimen(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        self.corpus[at].clone()
    }

    fn byte(&mut self) -> u8 {
        self.next_number().to_le_bytes()[0]
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits hold every length");
        usize::try_from(self.next_number() % end).expect("it is below a length")
    }

    /// xorshift64*.
    const fn next_number(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }
}

/// Bytes of an input, at most: specimens are joined and would grow.
const INPUT_BYTES: usize = 8_192;
/// Bytes at which encodings turn: signs, lengths of numbers, brackets.
const INTERESTING: [u8; 14] = [
    0, 1, 0x7f, 0x80, 0xc0, 0xfa, 0xfb, 0xfc, 0xfd, 0xff, b'"', b'{', b'[', b',',
];

//! Round trips in pieces of all sizes, bodies that are broken, and those that become too large.

use super::*;
use std::rc::Rc;

const CODINGS: [Library; 3] = [
    Library { coding: Coding::Gzip, level: 6 },
    Library { coding: Coding::Brotli, level: 4 },
    Library { coding: Coding::Zstd, level: 3 },
];

/// Text that compresses, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    let mut random = 7_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"the quick brown fox jumps over lazy dogs "[(random >> 24) as usize % 41]
    };
    (0..length).map(|_| next()).collect()
}

fn encode(encoder: &mut Encoder, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![];
    for piece in pieces {
        encoder.push(piece, &mut out);
    }
    encoder.finish(&mut out);
    out
}

fn decode(coding: Coding, pieces: &[&[u8]]) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(coding, 100).unwrap();
    let mut out = vec![];
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out)
}

#[test]
fn what_goes_in_comes_out_whatever_the_pieces() {
    for library in CODINGS {
        let mut encoder = Encoder::new(library).unwrap();
        for length in [0, 1, 100, 16_383, 16_384, 16_385, 200_000] {
            let text = text(length);
            for size in [1 << 21, 16_384, 1000, 7] {
                if size == 7 && length > 100_000 {
                    continue;
                }
                if !encoder.renew() {
                    encoder = Encoder::new(library).unwrap();
                }
                let coded = encode(&mut encoder, &text.chunks(size).collect::<Vec<_>>());
                assert!(length < 1000 || coded.len() < length, "{library:?} {length}: {}", coded.len());
                let pieces: Vec<_> = coded.chunks(size).collect();
                assert_eq!(
                    decode(library.coding, &pieces).as_ref(),
                    Ok(&text),
                    "{library:?} {length} {size}"
                );
            }
        }
    }
}

#[test]
fn what_was_flushed_can_be_decoded() {
    for library in CODINGS {
        let (mut encoder, mut decoder) =
            (Encoder::new(library).unwrap(), Decoder::new(library.coding, 100).unwrap());
        let mut seen = vec![];
        for piece in text(10_000).chunks(3_000) {
            let mut coded = vec![];
            encoder.push(piece, &mut coded);
            encoder.flush(&mut coded);
            let before = seen.len();
            decoder.push(&coded, &mut seen).unwrap();
            assert_eq!(&seen[before..], piece, "{library:?}");
            // Nothing new: nothing to say.
            coded.clear();
            encoder.flush(&mut coded);
            assert!(coded.is_empty());
        }
    }
}

#[test]
fn what_is_broken_or_cut_is_told() {
    for library in CODINGS {
        let coded = encode(&mut Encoder::new(library).unwrap(), &[&text(10_000)]);
        let coding = library.coding;
        assert_eq!(decode(coding, &[&coded[..coded.len() - 1]]), Err(CodingError::Broken), "{coding:?}");
        assert_eq!(
            decode(coding, &[b"\xff\xff\xff\xff no coding at all \xff\xff"]),
            Err(CodingError::Broken)
        );
        assert_eq!(decode(coding, &[]), Ok(vec![]));
    }
    let two = [
        encode(&mut Encoder::new(CODINGS[0]).unwrap(), &[b"ab"]),
        encode(&mut Encoder::new(CODINGS[0]).unwrap(), &[b"cd"]),
    ]
    .concat();
    assert_eq!(decode(Coding::Gzip, &[&two]), Ok(b"abcd".to_vec()), "members follow each other");
}

#[test]
fn a_body_does_not_become_larger_than_it_may() {
    let zeros = vec![0; 2 << 20];
    for library in CODINGS {
        let coded = encode(&mut Encoder::new(library).unwrap(), &[&zeros]);
        let mut decoder = Decoder::new(library.coding, 10).unwrap();
        let mut out = vec![];
        let bound = coded.len() * 10 + 64 * 1024;
        let outcome = coded.chunks(1000).try_for_each(|piece| decoder.push(piece, &mut out));
        assert_eq!(outcome, Err(CodingError::TooLarge), "{library:?}");
        assert!(out.len() <= bound, "{library:?}: {} of {bound}", out.len());
        // With room enough it is whole: at the bound, and one below it.
        let ratio = (zeros.len() as u64 - 64 * 1024).div_ceil(coded.len() as u64);
        for (ratio, is_fine) in [(ratio, true), (ratio - 1, false)] {
            let mut decoder = Decoder::new(library.coding, ratio).unwrap();
            assert_eq!(decoder.push(&coded, &mut vec![]).is_ok(), is_fine, "{library:?} {ratio}");
        }
    }
}

#[test]
fn the_pool_is_bounded_and_keeps_what_can_be_used_again() {
    let pool = Rc::new(CodingPool::default());
    let mut lent: Vec<_> = (0..MOST_CODERS).map(|_| pool.decoder(Coding::Gzip, 100)).collect();
    assert!(lent.iter().all(Option::is_some));
    assert!(pool.encoder(CODINGS[0]).is_none() && pool.decoder(Coding::Zstd, 100).is_none());
    lent.pop();
    drop(pool.encoder(CODINGS[0]).unwrap());
    assert_eq!(pool.counts(), (MOST_CODERS - 1, 1));
    lent.clear();
    let some: Vec<_> = (0..20).map(|_| pool.encoder(CODINGS[2]).unwrap()).collect();
    assert_eq!(pool.counts(), (20, 1));
    drop(some);
    assert_eq!(pool.counts(), (0, 16));
    // One that was left in the middle begins anew.
    let mut first = pool.encoder(CODINGS[0]).unwrap();
    first.get().unwrap().push(b"left over", &mut vec![]);
    drop(first);
    let mut again = pool.encoder(CODINGS[0]).unwrap();
    let coded = encode(again.get().unwrap(), &[b"new"]);
    assert_eq!(decode(Coding::Gzip, &[&coded]), Ok(b"new".to_vec()));
}

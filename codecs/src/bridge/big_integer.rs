//! Decimal digits to the words of a `java.math.BigInteger` and back.

/// Longer numbers are refused: converting takes time that grows with the square of the length.
pub(super) const MAX_DIGITS: usize = 1000;
const BASE: u64 = 1_000_000_000;
const BASE_DIGITS: usize = 9;

/// The words of a number of decimal digits, the most significant first, without leading zeros.
pub(super) fn words_of(digits: &str) -> Vec<u32> {
    // The least significant first.
    let mut words: Vec<u32> = vec![];
    for digit in digits.bytes() {
        let mut carry = u64::from(digit - b'0');
        for word in &mut words {
            let product = u64::from(*word) * 10 + carry;
            *word = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            words.push(carry as u32);
        }
    }
    words.reverse();
    words
}

/// The decimal digits of words, the most significant first.
pub(super) fn digits_of(words: &[u32]) -> String {
    let mut words = words.to_vec();
    let mut groups = vec![];
    while words.iter().any(|word| *word > 0) {
        let mut rest = 0;
        for word in &mut words {
            let dividend = rest << 32 | u64::from(*word);
            *word = (dividend / BASE) as u32;
            rest = dividend % BASE;
        }
        groups.push(rest);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text += &format!("{group:0BASE_DIGITS$}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_words_and_words_digits() {
        for (digits, words) in [
            ("0", vec![]),
            ("4294967295", vec![u32::MAX]),
            ("4294967296", vec![1, 0]),
            ("1000000000000000000000", vec![54, 0x35c9_adc5, 0xdea0_0000]),
        ] {
            assert_eq!((words_of(digits), digits_of(&words)), (words, digits.to_owned()));
        }
    }
}

//! Numbers of points, as people and scripts write them: `0-9,12`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A set of point numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers(Vec<RangeInclusive<usize>>);

impl Numbers {
    /// Whether `number` is one of them.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

/// Ascending numbers; neighbours become ranges.
impl FromIterator<usize> for Numbers {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut ranges: Vec<RangeInclusive<usize>> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(last) if last.end() + 1 == number => *last = *last.start()..=number,
                _ => ranges.push(number..=number),
            }
        }
        Self(ranges)
    }
}

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected numbers and ranges, such as 0-9,12".to_owned();
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        let range = |part: &str| match part.split_once('-') {
            None => number(part).map(|n| n..=n),
            Some((from, to)) => {
                let range = number(from)?..=number(to)?;
                if range.is_empty() { Err(wrong()) } else { Ok(range) }
            }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers: Numbers = [0, 1, 2, 5, 7, 8].into_iter().collect();
        assert_eq!(numbers.to_string(), "0-2,5,7-8");
        assert_eq!(numbers.to_string().parse(), Ok(numbers.clone()));
        let members: Vec<usize> = (0..10).filter(|n| numbers.contains(*n)).collect();
        assert_eq!(members, [0, 1, 2, 5, 7, 8]);
        for wrong in ["", "a", "3-", "5-3", "1,,2", "-1"] {
            assert!(wrong.parse::<Numbers>().is_err(), "{wrong}");
        }
    }
}

//! Conditions on points, such as `adc.skip_bits < adc.bits and images >= 100`.
//!
//! Names are parameters or metrics, numbers are TOML's, texts are in single quotes; `+ - * /`, comparisons, `and`, `or`
//! and parentheses are as everywhere. A condition that compares a text with a number does not hold.

use crate::value::Value;

/// A condition that was parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Value(Value),
    Name(String),
    Binary(Operator, Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Operators by how loosely they bind; a longer sign comes before its beginning.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("or", Operator::Or)],
    &[("and", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessEqual),
        (">=", Operator::GreaterEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
];

impl Condition {
    /// Parses a condition.
    ///
    /// # Errors
    /// What was expected, and the byte where it was.
    pub fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let root = parser.level(0)?;
        parser.skip_blanks();
        if parser.at < text.len() {
            return Err((parser.at, "expected an operator"));
        }
        if !root.is_condition() {
            return Err((0, "expected a comparison, such as adc.bits >= 6"));
        }
        Ok(Self {
            text: text.to_owned(),
            root,
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All names in it, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.collect_names(&mut names);
        names
    }

    /// Whether it holds; a name that `lookup` does not know makes its comparison false.
    pub fn holds(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> bool {
        self.root.truth(lookup)
    }
}

impl Node {
    /// Whether it is a truth and not a number, all the way down.
    fn is_condition(&self) -> bool {
        match self {
            Self::Binary(Operator::Or | Operator::And, a, b) => a.is_condition() && b.is_condition(),
            Self::Binary(op, a, b) => op.compares() && !a.is_condition() && !b.is_condition(),
            _ => false,
        }
    }

    fn collect_names<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Value(_) => {}
            Self::Name(name) => names.push(name),
            Self::Binary(_, a, b) => {
                a.collect_names(names);
                b.collect_names(names);
            }
        }
    }

    fn truth(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> bool {
        let Self::Binary(op, a, b) = self else { return false };
        match op {
            Operator::Or => a.truth(lookup) || b.truth(lookup),
            Operator::And => a.truth(lookup) && b.truth(lookup),
            _ => match (a.value(lookup), b.value(lookup)) {
                (Some(a), Some(b)) => op.compare(&a, &b),
                _ => false,
            },
        }
    }

    fn value(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Name(name) => lookup(name),
            Self::Binary(op, a, b) => {
                let (a, b) = (a.value(lookup)?.number()?, b.value(lookup)?.number()?);
                Some(Value::Real(match op {
                    Operator::Add => a + b,
                    Operator::Subtract => a - b,
                    Operator::Multiply => a * b,
                    Operator::Divide => a / b,
                    _ => return None,
                }))
            }
        }
    }
}

impl Operator {
    fn compares(self) -> bool {
        LEVELS[2].iter().any(|(_, op)| *op == self)
    }

    fn compare(self, a: &Value, b: &Value) -> bool {
        let order = match (a.number(), b.number(), a, b) {
            (Some(a), Some(b), _, _) => a.partial_cmp(&b),
            (_, _, Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (_, _, Value::Flag(a), Value::Flag(b)) => Some(a.cmp(b)),
            _ => None,
        };
        order.is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::LessEqual => order.is_le(),
            Self::GreaterEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::Greater => order.is_gt(),
            _ => false,
        })
    }
}

/// Parentheses inside each other; more are refused, the stack is finite.
const DEPTH: usize = 64;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn level(&mut self, level: usize) -> Result<Node, (usize, &'static str)> {
        let Some(operators) = LEVELS.get(level) else {
            return self.atom();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.level(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        self.skip_blanks();
        let whole_word = |sign: &str| {
            let after = self.rest()[sign.len()..].chars().next();
            !sign.starts_with(char::is_alphabetic) || !after.is_some_and(is_name)
        };
        let (sign, operator) = operators
            .iter()
            .find(|(sign, _)| self.rest().starts_with(sign) && whole_word(sign))?;
        self.at += sign.len();
        Some(*operator)
    }

    fn atom(&mut self) -> Result<Node, (usize, &'static str)> {
        self.skip_blanks();
        let start = self.at;
        let rest = self.rest();
        match rest.chars().next() {
            Some('(') => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err((start, "too many parentheses"));
                }
                self.at += 1;
                let inside = self.level(0)?;
                self.skip_blanks();
                if !self.rest().starts_with(')') {
                    return Err((self.at, "expected `)`"));
                }
                self.at += 1;
                self.depth -= 1;
                Ok(inside)
            }
            Some('\'') => {
                let Some(end) = rest[1..].find('\'') else {
                    return Err((start, "expected a closing `'`"));
                };
                self.at += end + 2;
                Ok(Node::Value(Value::Text(rest[1..=end].to_owned())))
            }
            Some(c) if c.is_ascii_digit() || c == '-' || c == '.' => {
                let bytes = rest.as_bytes();
                let exponent_sign = |i: usize| i > 0 && matches!(bytes[i - 1], b'e' | b'E');
                let end = (1..rest.len())
                    .find(|&i| !(bytes[i].is_ascii_alphanumeric() || bytes[i] == b'.' || exponent_sign(i)))
                    .unwrap_or(rest.len());
                let number = rest.get(..end).and_then(|digits| digits.parse().ok());
                let number = number.filter(|n: &f64| n.is_finite());
                self.at += end;
                number
                    .map(|number| Node::Value(Value::Real(number)))
                    .ok_or((start, "expected a number"))
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
                self.at += name.len();
                Ok(match name {
                    "true" => Node::Value(Value::Flag(true)),
                    "false" => Node::Value(Value::Flag(false)),
                    _ => Node::Name(name.to_owned()),
                })
            }
            _ => Err((start, "expected a name, a number or a 'text'")),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let lookup = |name: &str| match name {
            "adc.bits" => Some(Value::Integer(6)),
            "adc.range" => Some(Value::Text("clip".into())),
            "orders" => Some(Value::Real(0.5)),
            _ => None,
        };
        Condition::parse(text).unwrap().holds(&lookup)
    }

    #[test]
    fn operators_bind_as_usual() {
        for (text, expected) in [
            ("adc.bits == 6", true),
            ("adc.bits != 6", false),
            ("adc.bits <= 5 + 2 * 0.5", true),
            ("(5 + 2) * 0.5 >= adc.bits", false),
            ("2 - 1 - 1 == 0", true),
            ("adc.bits > 7 or adc.bits < 7 and orders < 1", true),
            ("(adc.bits > 7 or adc.bits < 7) and orders > 1", false),
            ("adc.range == 'clip'", true),
            ("adc.range != 'full' and orders >= -1e-3", true),
            ("adc.range == 6", false),
            ("unknown < 1", false),
            ("adc.bits / 0 > 1e300", true),
            ("true == true", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_located() {
        for (text, at) in [
            ("adc.bits <", 10),
            ("adc.bits 6", 9),
            ("(adc.bits < 6", 13),
            ("adc.range == 'clip", 13),
            ("adc.bits", 0),
            ("1 + 2", 0),
            ("(a < b) < c", 0),
            ("1.2.3 < a", 0),
            ("a < 1é", 5),
            ("é < 1", 0),
            ("", 0),
        ] {
            assert_eq!(Condition::parse(text).map_err(|(at, _)| at), Err(at), "{text}");
        }
        assert!(Condition::parse(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn names_in_their_order() {
        let condition = Condition::parse("a.b < c and 2 > d").unwrap();
        assert_eq!(condition.names(), ["a.b", "c", "d"]);
    }
}

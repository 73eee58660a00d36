//! Rust source without its comments and literals.

/// Lines, from 1, on which `word` stands in code: not in a comment, a string or a longer identifier.
pub(super) fn lines_with_word(source: &str, word: &str) -> Vec<usize> {
    let code = code_of(source);
    let is_identifier = |c: char| c.is_alphanumeric() || c == '_';
    let has_word = |line: &str| line.split(|c| !is_identifier(c)).any(|token| token == word);
    code.lines()
        .enumerate()
        .filter(|(_, line)| has_word(line))
        .map(|(i, _)| i + 1)
        .collect()
}

/// `source` with comments and literals replaced by nothing but their line ends.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let after_identifier = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match literal_or_comment(rest, after_identifier) {
            Some(len) => {
                code.extend(rest[..len].chars().filter(|&c| c == '\n'));
                // What stood on either side stays apart.
                code.push(' ');
                rest = &rest[len..];
            }
            None => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    code
}

/// Length of the comment or literal that `text` begins with; all of `text` if it does not end.
fn literal_or_comment(text: &str, after_identifier: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('\'') {
        return character(text);
    }
    if !after_identifier && text.starts_with(['r', 'b', 'c']) {
        return raw_string(text);
    }
    None
}

/// A block comment may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return i + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// A character, unless the quote begins a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next()?, chars.next()?);
    (first == '\\' || second == '\'').then(|| quoted(text, '\''))
}

/// `r"..."`, `r#"..."#` and so on, after an optional `b` or `c`.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let unhashed = body.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(body.len() - unhashed.len()));
    let content = unhashed.strip_prefix('"')?;
    let len = content.find(&end).map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_comments_and_literals_do_not_count() {
        let source = concat!(
            "// word\n",
            "/* word /* word */ word */ let a = 1;\n",
            "let s = \"word \\\" word\"; let c = 'w';\n",
            "let r = r#\"word \" word\"#; let b = br\"word\";\n",
            "let q = '\\''; let l: &'word str = s;\n",
            "/// word\nlet words = sword_word;\n",
        );
        // A lifetime is code.
        assert_eq!(lines_with_word(source, "word"), [5]);
    }

    #[test]
    fn words_in_code_count_wherever_they_stand() {
        let source = "x /* a\n b */ word\n\"\n\"; word{}\n#![allow(word)]\nlet r#try = (word);\nfor r in word\n";
        assert_eq!(lines_with_word(source, "word"), [2, 4, 5, 6, 7]);
    }

    #[test]
    fn an_open_end_is_the_end() {
        for source in ["/* word", "\"word", "r#\"word\"", "'\\", "// word", "'"] {
            assert_eq!(lines_with_word(source, "word"), [0; 0], "{source}");
        }
    }
}

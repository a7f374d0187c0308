use std::collections::HashMap;
impl<'a, T: AsRef<str>> Agent<'a, T> {
    fn message(&'a self, system: &mut HashMap<String, Vec<u8>>) -> Option<&'a [u8]> {
        let xs: Vec<_> = system.iter().filter(|(k, v)| k.len() < v.len() && !v.is_empty()).collect();
        match xs[..] { [] => None, [(_, v), ..] => Some(&v[1..v.len() - 1]) }
    }
}
#[derive(Debug, Clone)]
pub struct SystemMessage<T>(pub T);

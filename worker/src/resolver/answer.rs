//! A query's bytes become an answer's, or the need to ask others. Pure; whatever the bytes are, it answers or drops them.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use shoal_proto::model::NetworkId;

use super::limits::{ANSWER_BYTES, DATAGRAM_BYTES, MESSAGE_BYTES, TTL_TASK};
use super::zones::Zones;

/// What a query leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This, as bytes.
    Answer(Vec<u8>),
    /// Others know, if anybody does.
    AskOutside,
    /// It is no query.
    Drop,
}

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Datagram,
    Connection,
}

/// Answers a query of a container on these networks. `zones` are `None` until they are known. `shift` turns the order of
/// addresses, so that clients that take the first spread over all.
pub(super) fn answer(query: &[u8], zones: Option<&Zones>, on: &[NetworkId], way: Way, shift: usize) -> Verdict {
    let Ok(message) = Message::from_vec(query) else { return Verdict::Drop };
    if message.metadata.message_type != MessageType::Query {
        return Verdict::Drop;
    }
    let reply = Reply { message: &message, way };
    let [question] = message.queries.as_slice() else { return reply.refuse(ResponseCode::FormErr) };
    if message.metadata.op_code != OpCode::Query {
        return reply.refuse(ResponseCode::NotImp);
    }
    if question.query_class() != DNSClass::IN {
        return Verdict::AskOutside;
    }
    let name = question.name().to_ascii();
    let Some(zones) = zones else {
        // A name without a dot may be a service's, which is not known before the managers or the disk said so.
        let may_be_ours = name.trim_end_matches('.').split('.').count() < 2 || name.starts_with("tasks.");
        return if may_be_ours { reply.refuse(ResponseCode::ServFail) } else { Verdict::AskOutside };
    };
    if question.query_type() == RecordType::PTR {
        let address = address_of(question.name());
        let owner = address.and_then(|address| zones.reverse(on, address)).and_then(|name| Name::from_ascii(name).ok());
        return owner
            .map_or(Verdict::AskOutside, |owner| reply.records(question, TTL_TASK, vec![RData::PTR(PTR(owner))]));
    }
    let Some(found) = zones.find(on, &name) else { return Verdict::AskOutside };
    let mut data: Vec<RData> =
        found.addresses.iter().filter_map(|address| record_data(*address, question.query_type())).collect();
    if !data.is_empty() {
        let by = shift % data.len();
        data.rotate_left(by);
    }
    reply.records(question, found.ttl, data)
}

/// Whether an answer from outside says that the name does not exist.
pub(super) fn denies(answer: &[u8]) -> bool {
    const CODE: u8 = 0x0f;
    const NAME_ERROR: u8 = 3;
    answer.get(3).is_some_and(|flags| flags & CODE == NAME_ERROR)
}

/// That nobody outside answered.
pub(super) fn failure(query: &[u8], way: Way) -> Verdict {
    match Message::from_vec(query) {
        Ok(message) => Reply { message: &message, way }.refuse(ResponseCode::ServFail),
        Err(_) => Verdict::Drop,
    }
}

/// Whether the answer is to this query: same number, and the same question.
pub(super) fn is_answer_to(query: &[u8], answer: &[u8]) -> bool {
    let (Ok(asked), Ok(said)) = (Message::from_vec(query), Message::from_vec(answer)) else { return false };
    asked.metadata.id == said.metadata.id
        && said.metadata.message_type == MessageType::Response
        && (said.queries.is_empty() || said.queries == asked.queries)
}

/// An answer under way.
struct Reply<'a> {
    message: &'a Message,
    way: Way,
}

impl Reply<'_> {
    fn refuse(&self, code: ResponseCode) -> Verdict {
        let mut answer = self.begin();
        answer.metadata.response_code = code;
        self.finish(answer)
    }

    /// No records: the name is there, and has none of that type.
    fn records(&self, question: &Query, ttl: u32, data: Vec<RData>) -> Verdict {
        let mut answer = self.begin();
        answer.metadata.authoritative = true;
        answer.add_answers(data.into_iter().map(|data| Record::from_rdata(question.name().clone(), ttl, data)));
        self.finish(answer)
    }

    fn begin(&self) -> Message {
        let asked = &self.message.metadata;
        let mut answer = Message::response(asked.id, asked.op_code);
        answer.metadata.recursion_desired = asked.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_queries(self.message.queries.iter().cloned());
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(u16::try_from(DATAGRAM_BYTES).unwrap_or(u16::MAX));
            answer.set_edns(edns);
        }
        answer
    }

    /// As many records as fit; a client that wants all of them asks again over TCP.
    fn finish(&self, mut answer: Message) -> Verdict {
        let limit = match self.way {
            Way::Connection => MESSAGE_BYTES,
            Way::Datagram if self.message.edns.is_some() => {
                usize::from(self.message.max_payload()).clamp(ANSWER_BYTES, DATAGRAM_BYTES)
            }
            Way::Datagram => ANSWER_BYTES,
        };
        loop {
            match answer.to_vec() {
                Ok(bytes) if bytes.len() <= limit => return Verdict::Answer(bytes),
                Ok(_) | Err(_) if !answer.answers.is_empty() => {
                    let half = answer.answers.len() / 2;
                    answer.answers.truncate(half);
                    answer.metadata.truncation = true;
                }
                Ok(_) | Err(_) => return Verdict::Drop,
            }
        }
    }
}

fn record_data(address: IpAddr, wanted: RecordType) -> Option<RData> {
    match (address, wanted) {
        (IpAddr::V4(address), RecordType::A | RecordType::ANY) => Some(RData::A(A(address))),
        (IpAddr::V6(address), RecordType::AAAA | RecordType::ANY) => Some(RData::AAAA(AAAA(address))),
        _ => None,
    }
}

/// The address that a reverse name asks for.
fn address_of(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::zones::tests::{network, zones};
    use super::*;

    fn query(name: &str, kind: RecordType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.to_vec().unwrap()
    }

    fn said(name: &str, kind: RecordType) -> String {
        match answer(&query(name, kind), Some(&zones()), &[network(1)], Way::Datagram, 0) {
            Verdict::Answer(bytes) => {
                let message = Message::from_vec(&bytes).unwrap();
                assert_eq!(message.metadata.id, 7);
                assert!(is_answer_to(&query(name, kind), &bytes));
                let records: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
                format!("{} {}", message.metadata.response_code, records.join(" "))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn queries_are_answered_or_passed_on() {
        assert_eq!(said("web.", RecordType::A), "No Error 10.0.1.2");
        assert_eq!(said("web.", RecordType::AAAA), "No Error ");
        assert_eq!(said("tasks.web.", RecordType::A), "No Error 10.0.1.3 10.0.1.4");
        assert_eq!(said("2.1.0.10.in-addr.arpa.", RecordType::PTR), "No Error Web.front.");
        assert_eq!(said("example.org.", RecordType::A), "AskOutside");
        assert_eq!(said("9.1.0.10.in-addr.arpa.", RecordType::PTR), "AskOutside");
        assert_eq!(said("nobody.", RecordType::A), "AskOutside");
    }

    #[test]
    fn what_is_not_known_yet_is_not_denied() {
        let code = |name: &str| match answer(&query(name, RecordType::A), None, &[network(1)], Way::Datagram, 0) {
            Verdict::Answer(bytes) => Some(Message::from_vec(&bytes).unwrap().metadata.response_code),
            _ => None,
        };
        assert_eq!(code("web."), Some(ResponseCode::ServFail));
        assert_eq!(code("tasks.web."), Some(ResponseCode::ServFail));
        assert_eq!(code("example.org."), None);
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in any::<prop::sample::Index>()) {
            let zones = zones();
            for way in [Way::Datagram, Way::Connection] {
                answer(&bytes, Some(&zones), &[network(1)], way, 1);
                let mut real = query("tasks.web.", RecordType::A);
                let place = cut.index(real.len());
                real[place] ^= bytes.first().copied().unwrap_or(1);
                if let Verdict::Answer(said) = answer(&real, Some(&zones), &[network(1)], way, 1) {
                    prop_assert!(said.len() <= MESSAGE_BYTES);
                }
                real.truncate(place);
                answer(&real, Some(&zones), &[network(1)], way, 1);
                is_answer_to(&real, &bytes);
                denies(&bytes);
            }
        }
    }
}

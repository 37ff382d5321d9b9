//! Hosts whose owner the wallet knows: from trust lists, pinned registrars, local services and held credentials. All
//! other hosts are unknown.

use carnet_core::{
    did::{self, Did},
    time::Timestamp,
};
use url::Url;

use crate::{store::WalletContents, trust::ValidTrustLists};

/// Reason why the wallet knows a host: the origin of the DID that names the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSource {
    /// Issuer or registrar in a trust list that the holder accepts and that is valid now.
    TrustList,
    /// Registrar that the holder pinned, or service on this machine that the holder added.
    Holder,
    /// Issuer of a credential in the wallet.
    Credential,
}

/// Host with a known owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    host: String,
    /// Name of the owner: from the trust list, as given by the holder, or the issuer's own display name.
    pub name: String,
    /// Reason why the wallet knows the host.
    pub source: HostSource,
}

/// All hosts that the wallet knows.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts(Vec<KnownHost>);

impl KnownHosts {
    /// Collects the hosts named by the did:web and did:webvh DIDs of the issuers and registrars in trust lists,
    /// of pinned registrars, of local services, and of the issuers of held credentials. Trust lists that are invalid at
    /// `now` are ignored.
    pub fn from_contents(contents: &WalletContents, now: Timestamp) -> Self {
        let lists = ValidTrustLists::from_wallet(&contents.trust, now);
        let listed = lists.parties().map(|(did, name)| (did, name, HostSource::TrustList));
        let registrars = contents.registrars.iter().map(|one| (one.did.as_str(), one.name.as_str()));
        let local = contents.local_services.iter().map(|site| (site.did.as_str(), site.name.as_str()));
        let own = registrars.chain(local).map(|(did, name)| (did, name, HostSource::Holder));
        let issuers = contents.credentials.iter().map(|held| (held.issuer.as_str(), held.issuer_name.as_str()));
        let issuers = issuers.map(|(did, name)| (did, name, HostSource::Credential));
        let known = |(did, name, voucher): (&str, &str, HostSource)| {
            Some(KnownHost { host: host_of(did)?, name: name.to_owned(), source: voucher })
        };
        Self(listed.chain(own).chain(issuers).filter_map(known).collect())
    }

    /// Returns the known host with the host and port of a URL; `None` if the wallet does not know it. If several owners
    /// have the host, a trust list takes precedence, then the holder's own entries.
    pub fn find(&self, url: &Url) -> Option<&KnownHost> {
        let host = authority(url)?;
        self.0.iter().find(|known| known.host == host)
    }
}

/// Returns the host of a did:web or did:webvh, with its port unless that is 443; `None` for other DIDs.
pub fn host_name(did: &str) -> Option<String> {
    host_of(did).map(|host| host.strip_suffix(":443").map_or_else(|| host.clone(), str::to_owned))
}

/// Returns host and port of a did:web or did:webvh, with port 443 if it names none; `None` for other DIDs.
fn host_of(did: &str) -> Option<String> {
    let did = Did::parse(did).ok()?;
    let url = did::web::document_url(&did).or_else(|_| did::webvh::log_url(&did)).ok()?;
    authority(&Url::parse(&url).ok()?)
}

/// Returns host and port of a URL. A DID vouches only for its own port: other ports may belong to another service.
fn authority(url: &Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PinnedRegistrar;

    #[test]
    fn a_host_is_known_by_a_document_and_by_its_port() {
        let mut contents = WalletContents::new(12);
        let registrar = |did: &str| PinnedRegistrar { did: did.to_owned(), name: "Registrar of Example".to_owned() };
        contents.registrars = vec![
            registrar("did:web:register.example:path"),
            registrar("did:web:office.example%3A8443"),
            registrar("did:jwk:e30"),
        ];
        let known = KnownHosts::from_contents(&contents, Timestamp::from_unix(1_800_000_000));
        let owner = |url: &str| known.find(&Url::parse(url).unwrap()).map(|known| (known.name.as_str(), known.source));
        let expected = Some(("Registrar of Example", HostSource::Holder));
        assert_eq!(owner("https://register.example/other"), expected);
        assert_eq!(owner("https://office.example:8443"), expected);
        for stranger in [
            "https://office.example",
            "https://register.example:8443",
            "https://register.example.evil.example",
            "https://a.register.example",
            "https://evil.example/register.example",
        ] {
            assert_eq!(owner(stranger), None, "{stranger}");
        }
    }
}

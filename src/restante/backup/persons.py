"""The directory as objects of a backup, and back. Pure."""

from __future__ import annotations

from ..store.directory import Account, AccountSettings, Alias, Common, Credential, Domain, Person, Scram
from .objects import AliasData, CommonData, CredentialData, DomainData, PersonData


def common_data(common: Common) -> CommonData:
    return CommonData(
        tuple(DomainData(one.name, one.catch_all, one.scram, one.created) for one in common.domains),
        tuple(AliasData(one.address, one.targets, one.created) for one in common.aliases),
        common.secrets,
        common.adopted,
    )


def common_of(data: CommonData) -> Common:
    return Common(
        tuple(Domain(one.name, one.catch_all, one.scram, one.created) for one in data.domains),
        tuple(Alias(one.address, one.targets, one.created) for one in data.aliases),
        data.secrets,
        data.adopted,
    )


def person_data(person: Person) -> PersonData:
    account, chosen = person.account, person.account.settings
    return PersonData(
        account.id, account.address, account.domain, account.enabled,
        account.quota, account.quota_messages, account.quota_mailboxes,
        chosen.pop3_delete, chosen.pop3_leave_days, chosen.pop3_seen, chosen.scram,
        account.demo, account.created, account.credential_version,
        person.salt, person.iterations, person.next_credential, tuple(map(_credential_data, person.credentials)),
    )  # fmt: skip


def person_of(data: PersonData) -> Person:
    settings = AccountSettings(data.pop3_delete, data.pop3_leave_days, data.pop3_seen, data.scram)
    account = Account(
        data.id, data.address, data.domain, data.enabled, data.quota, settings, data.demo, data.created,
        data.credential_version, data.quota_messages, data.quota_mailboxes,
    )  # fmt: skip
    credentials = tuple(map(_credential_of, data.credentials))
    return Person(account, credentials, data.salt, data.iterations, data.next_credential)


def _credential_data(one: Credential) -> CredentialData:
    scram = one.scram
    return CredentialData(
        one.number, one.kind, one.label, one.hash, tuple(sorted(one.protocols)),
        scram.stored_key if scram else None, scram.server_key if scram else None,
        one.created, one.last_used, one.expires,
    )  # fmt: skip


def _credential_of(data: CredentialData) -> Credential:
    scram = None
    if data.stored_key is not None and data.server_key is not None:
        scram = Scram(data.stored_key, data.server_key)
    return Credential(
        data.number, data.kind, data.label, data.hash, frozenset(data.protocols), scram,
        data.created, data.last_used, data.expires,
    )  # fmt: skip

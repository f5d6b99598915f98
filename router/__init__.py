"""tenant-router: the front door of a multi-tenant portal.

Three planes live in one worker process. The **edge** moves bytes and decides; the **portal** (customers'
pages) and the **console** (the operators' pages and the API) are upstreams of the edge, so there is one
way that bytes move, whatever answers: client → edge → some upstream.

The journey of a request, and the file that owns each step::

    accept        edge/listener.py       limits, PROXY protocol
    ClientHello   edge/client_hello.py   peeked, never consumed (edge/first_octets.py)
    certificate   certificates/keyring.py
    head          edge/client.py         edge/visit.py makes the Visit: httptools and stricter rules
    reception     edge/reception.py      at once what is in memory; the rest is awaited:
      tenant      tenants/directory.py   memory → Redis → database
      session     identity/sessions.py   memory → Redis → database
      decide      edge/decide.py         one pure function, one table
    route         edge/routes.py         which upstreams (edge/balance.py), within which limits
    turn          edge/turn.py           one request and its answer on a client's connection
    forward       edge/exchange.py       over edge/pool.py and edge/upstream.py, fields by edge/headers.py
    account       edge/account.py        one line a visit, written by observe/logs.py

The journey of a certificate::

    upload        cli/certificate.py, or a file in certs/ (certificates/folder.py)
    judge         certificates/bundle.py, within certificates/uploads.py
    store         certificates/vault.py  key encrypted, a row in `changes`
    serve         certificates/keyring.py swaps its entry; open connections keep theirs

The journey of a customer's form::

    page          portal/application.py  a visit that the edge decided to be the portal's
    form          portal/form_page.py    its token, its faults; router/forms.py reads it
    use case      identity/              sign_in.py, recovery.py, newcomers.py … in one transaction
    answer        portal/pages.py        303, or the page again, by portal/rendering.py in the tenant's theme

The journey of an operator's form::

    page          console/pages/         front.py, then page.py: who is signed in, and whether they may
    use case      console/use_cases.py   the rooms', the same as the API's (console/api/) and the commands'
    answer        console/pages/rendering.py  303, or the page again in the frame (console/templates/)

The journey of a mail::

    written       storage/outbox.py      sealed, in the transaction of what it tells of
    taken         mail/queue.py          by one of all workers, for a while
    composed      portal/mails.py        in the tenant's name and the reader's language
    sent          mail/delivery.py       over mail/transport.py, again and again for a day

The journey of a claim to a hostname::

    claimed       tenants/registry.py    tenants/claims.py has the states
    looked at     tenants/checker.py     by one of all workers; tenants/checks.py is one look
    evidence      tenants/verify.py      what the DNS says; tenants/proof.py judges it
    course        tenants/course.py      one pure table: what follows, whom it is told

The journey of an event::

    happens       tenants/domain_events.py, certificates/certificate_events.py
    queued        storage/events.py      in the transaction that lets it happen, for each webhook that asked
    taken         webhooks/queue.py      by one of all workers, one at a time for each receiver
    posted        webhooks/delivery.py   signed (webhooks/signature.py), by router/outgoing.py, for a day

The database is the truth; Redis is a cache and a bell, never a store (storage/). Imports point down only:
cli → demo → worker, supervisor → serve → planes → edge_parts → rooms → ports → edge, portal, console →
behind_edge → forms → tenants, certificates, identity, mail, webhooks → outgoing → storage → observe →
settings → languages → hostname, errors.
"""

// npm's oidc-provider as an independent OpenID Connect provider: TLS, strict rotation, `iss`, introspection, revocation.
// Its argument is a JSON file: {port, key, cert, client_id, client_secret, redirect_prefix, accounts: {login: {sub, email}}}.
// Under /_test/ the tests change lives of tokens, switch faults on and read what was counted.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const issuer = `https://localhost:${config.port}`;
const MAIL = ['mail.imap', 'mail.pop', 'mail.smtp'];

const accounts = new Map(Object.entries(config.accounts)); // login name → {sub, email}
const lives = { AccessToken: 3600, RefreshToken: 86400, IdToken: 3600 };
const faults = {}; // name → {value, count}
const counts = {}; // "token:refresh_token" → requests
const used = []; // refresh tokens as they came in, hashed by the tests

const bySub = (sub) => [...accounts.values()].find((account) => account.sub === sub);

function take(name) {
  const fault = faults[name];
  if (!fault) return undefined;
  fault.count -= 1;
  if (fault.count <= 0) delete faults[name];
  return fault.value;
}

const provider = new Provider(issuer, {
  clients: [{
    client_id: config.client_id,
    client_secret: config.client_secret,
    redirect_uris: [`${config.redirect_prefix}any/`],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
  }, {
    client_id: 'mail-server', // asks about tokens, as a resource server does
    client_secret: config.mail_server_secret,
    redirect_uris: [],
    grant_types: [],
    response_types: [],
  }],
  cookies: { keys: ['only for tests'] },
  scopes: ['openid', 'offline_access', ...MAIL],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false, // puts email into the id_token
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  pkce: { required: () => true },
  ttl: {
    AccessToken: () => lives.AccessToken,
    ClientCredentials: () => lives.AccessToken,
    RefreshToken: () => lives.RefreshToken,
    IdToken: () => lives.IdToken,
    AuthorizationCode: 60,
    Grant: 86400,
    Interaction: 600,
    Session: 600,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: false },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(ctx, sub) {
    const account = bySub(sub);
    if (!account) return undefined;
    return {
      accountId: sub,
      claims: async () => ({ sub, email: account.email, email_verified: account.verified ?? true, name: account.email }),
    };
  },
});

// Each of Mailhub's provider apps has its own redirect URI.
provider.Client.prototype.redirectUriAllowed = (uri) => uri.startsWith(config.redirect_prefix);

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function spoiled(token, how) {
  const [head, body, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  switch (how) {
    case 'payload': return [head, encode({ ...claims, email: 'anna@example.test', sub: 'somebody-else' }), signature].join('.');
    case 'signature': return [head, body, Buffer.from(Buffer.from(signature, 'base64url').map((byte) => byte ^ 1)).toString('base64url')].join('.');
    case 'none': return [encode({ alg: 'none' }), body, ''].join('.');
    case 'missing': return undefined;
    default: return 'no.token.atall';
  }
}

provider.use(async (ctx, next) => {
  const atToken = ctx.path === '/token' && ctx.method === 'POST';
  if (atToken && faults.status) {
    counts['token:refused'] = (counts['token:refused'] ?? 0) + 1;
    ctx.status = take('status');
    ctx.set('Retry-After', '7');
    ctx.body = 'out of order';
    return;
  }
  if (atToken && faults.error) {
    ctx.status = 400;
    ctx.body = { error: take('error'), error_description: 'a fault switch' };
    return;
  }
  if (atToken && faults.drop_request) { // never heard of it
    take('drop_request');
    counts['token:dropped'] = (counts['token:dropped'] ?? 0) + 1;
    ctx.req.socket.destroy();
    return;
  }
  if (atToken && faults.delay) await new Promise((resolve) => { setTimeout(resolve, take('delay')); });
  await next();
  if (atToken) {
    const kind = `token:${ctx.oidc?.params?.grant_type ?? '?'}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
    if (ctx.oidc?.params?.refresh_token) used.push(ctx.oidc.params.refresh_token);
    if (ctx.body?.id_token && faults.id_token) ctx.body.id_token = spoiled(ctx.body.id_token, take('id_token'));
    if (faults.scope && ctx.body?.scope) ctx.body.scope = take('scope');
    if (faults.no_refresh_token && ctx.body) { take('no_refresh_token'); delete ctx.body.refresh_token; }
    if (faults.drop_answer) { take('drop_answer'); ctx.req.socket.destroy(); } // done, but nobody learns of it
  }
  // Mail servers compare the account with the one that signs in by its address.
  if (ctx.path === '/token/introspection' && ctx.body?.active) {
    counts.introspection = (counts.introspection ?? 0) + 1;
    ctx.body = { ...ctx.body, username: bySub(ctx.body.sub)?.email ?? config.client_id };
  }
  if (ctx.path.startsWith('/.well-known/') && faults.discovery) ctx.body = { ...ctx.body, ...faults.discovery.value };
});

const text = async (request) => {
  let found = '';
  for await (const piece of request) found += piece;
  return found;
};
const html = (response, body) => {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  response.end(`<!doctype html><meta charset=utf-8><title>Test provider</title>${body}`);
};

async function interaction(request, response, path) {
  const [, , uid, deed] = path.split('/');
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    if (prompt.name === 'login') {
      return html(response, `<form method=post action="/interaction/${uid}/login"><input name=login value="${params.login_hint ?? ''}"><button>Sign in</button></form>`);
    }
    const boxes = MAIL.filter((scope) => params.scope.split(' ').includes(scope))
      .map((scope) => `<label><input type=checkbox name=scope value="${scope}" checked>${scope}</label>`).join('');
    return html(response, `<form method=post action="/interaction/${uid}/confirm">${boxes}<button>Allow</button></form>`
      + `<form method=post action="/interaction/${uid}/abort"><button>Deny</button></form>`);
  }
  const form = new URLSearchParams(await text(request));
  if (deed === 'abort') {
    return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'The person said no' });
  }
  if (deed === 'login') {
    const account = accounts.get(form.get('login'));
    const result = account ? { login: { accountId: account.sub } } : { error: 'access_denied', error_description: 'Nobody of that name' };
    return provider.interactionFinished(request, response, result);
  }
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const chosen = new Set(form.getAll('scope'));
  for (const scope of params.scope.split(' ')) {
    if (!MAIL.includes(scope) || chosen.has(scope)) grant.addOIDCScope(scope);
    else grant.rejectOIDCScope(scope);
  }
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

async function forTests(request, response, path) {
  const given = request.method === 'POST' ? JSON.parse(await text(request) || '{}') : {};
  const answer = (value) => { response.writeHead(200, { 'content-type': 'application/json' }); response.end(JSON.stringify(value)); };
  switch (path) {
    case '/_test/lives': return answer(Object.assign(lives, given));
    case '/_test/accounts': accounts.set(given.login, given.account); return answer({});
    case '/_test/faults':
      if (given.clear) Object.keys(faults).forEach((name) => delete faults[name]);
      else faults[given.name] = { value: given.value, count: given.count ?? 1 };
      return answer(faults);
    case '/_test/revoke': {
      const found = await provider.RefreshToken.find(given.token);
      if (found) await (await provider.Grant.find(found.grantId))?.destroy();
      return answer({ ended: Boolean(found) });
    }
    case '/_test/reset': Object.keys(counts).forEach((name) => delete counts[name]); used.length = 0; return answer({});
    default: return answer({ counts, used });
  }
}

const handler = provider.callback();
createServer({ key: readFileSync(config.key), cert: readFileSync(config.cert) }, (request, response) => {
  const path = request.url.split('?')[0];
  const mine = path.startsWith('/interaction/') ? interaction : path.startsWith('/_test') ? forTests : null;
  if (!mine) return handler(request, response);
  return mine(request, response, path).catch((error) => { response.writeHead(500); response.end(String(error)); });
}).listen(config.port, '127.0.0.1', () => process.stdout.write('ready\n'));

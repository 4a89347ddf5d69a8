// The demo page: takes a token, and shows what the bell tells the page it is in.
'use strict';

const MOST_LINES = 100;
const at = (id) => document.getElementById(id);
const bell = document.querySelector('notification-bell');

function signIn(token) {
  let claims;
  try {
    const part = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (char) => char.charCodeAt(0))));
  } catch {
    at('wrong').textContent = 'That is no JWT: it has three parts with a dot between them.';
    return;
  }
  at('wrong').textContent = '';
  at('token').value = '';
  at('who').textContent = String(claims.sub ?? '');
  at('signed-out').hidden = true;
  at('signed-in').hidden = false;
  bell.token = token;
}

function signOut() {
  bell.token = null;
  at('who').textContent = '';
  at('log').replaceChildren();
  at('signed-out').hidden = false;
  at('signed-in').hidden = true;
  at('token').focus();
}

function note(text) {
  const line = document.createElement('li');
  line.textContent = `${new Date().toLocaleTimeString()}  ${text}`;
  at('log').prepend(line);
  while (at('log').childElementCount > MOST_LINES) at('log').lastElementChild.remove();
}

/** The token that the address brings along; it is taken out of it, and so out of the browser's history. */
function fromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  history.replaceState(null, '', location.pathname + location.search);
  signIn(token.trim());
}

async function sendTest() {
  at('test').disabled = true;
  try {
    const answer = await fetch('api/notifications/test', { method: 'POST', headers: { authorization: `Bearer ${bell.token}` } });
    const said = await answer.json();
    note(answer.ok ? `test: written as ${said.messageId}; a running router delivers it` : `test: ${said.message}`);
  } catch {
    note('test: the API cannot be reached');
  } finally {
    at('test').disabled = false;
  }
}

bell.addEventListener('notification', ({ detail }) => note(`notification: ${detail.title}`));
bell.addEventListener('unread', ({ detail }) => note(`unread: ${detail.count}`));
bell.addEventListener('connection', ({ detail }) => note(`connection: ${detail.state}`));
document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  signIn(at('token').value.trim());
});
at('test').addEventListener('click', sendTest);
at('sign-out').addEventListener('click', signOut);
window.addEventListener('hashchange', fromAddress);
at('example').textContent = `<script src="${new URL('widget.js', location.href)}" defer></script>
<notification-bell token="…"></notification-bell>`;
fromAddress();

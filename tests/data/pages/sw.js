onfetch = (event) => { if (event.request.url.includes('fromsw')) event.respondWith(new Response('sw')); };

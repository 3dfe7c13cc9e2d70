import { listen } from './listen.ts';
import { pingApp } from './ping-app.ts';

const app = pingApp();
listen((request) => app.fetch(request));
